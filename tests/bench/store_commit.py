"""Rows that a CPU-second commits, by batch size, by where the writer runs, and with the loop idle or busy.

    .venv/bin/python tests/bench/store_commit.py [rows]

Both processes are counted. Several lanes have a batch under way at once, as in a node; the data lies in
a folder of the current directory, so that it is synced to the disk that the folder is on.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import AddMessage, Slice
from greenroom.transport.load.server_watch import process_cpu_s

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 4_000
BODY = os.urandom(300)
LANES = 4
CHATS = 1_000


def cpu_s(pid: int | None) -> float:
    """CPU time of this process and of the writer."""
    return time.process_time() + (process_cpu_s(pid) if pid is not None else 0.0)


async def measure(folder: Path, kind: str, batch: int, *, busy: bool) -> tuple[float, float, float]:
    """Rows per CPU-second; median and 99th percentile of one batch in ms."""
    store = SqliteStore(":memory:" if kind == "memory" else folder / f"{kind}-{batch}-{busy}.db",
                        writer="thread" if kind == "thread" else "process")  # fmt: skip
    await store.open()
    seqs = dict.fromkeys(range(CHATS), 0)
    waits: list[float] = []
    rows = min(ROWS, 100 * batch) if kind != "memory" else ROWS

    async def lane(number: int) -> None:
        chat = number
        for _ in range(max(rows // batch // LANES, 1)):
            slices = []
            for _ in range(batch):
                chat = (chat + LANES) % CHATS
                seqs[chat] += 1
                name = f"si_u{chat}_u{chat + 1}"
                one = AddMessage(
                    name, seqs[chat], f"u{chat}", os.urandom(16).hex(), os.urandom(16).hex(),
                    1_700_000_000_000, 101, BODY,
                )  # fmt: skip
                slices.append(Slice(f"conversation/{name[3:]}", store.epoch, [one]))
            start = time.perf_counter()
            outcomes = await store.commit(slices)
            waits.append(time.perf_counter() - start)
            assert not any(outcomes), outcomes
            if kind == "memory":
                await asyncio.sleep(0)

    async def saturate() -> None:
        while True:
            until = time.perf_counter() + 0.0005
            while time.perf_counter() < until:
                pass
            await asyncio.sleep(0)

    # Each conversation gets its first message before the measurement, so that its name is already known.
    rows, before = CHATS, rows
    batch, before_batch = CHATS // LANES, batch
    await asyncio.gather(*[lane(number) for number in range(LANES)])
    rows, batch = before, before_batch
    waits.clear()
    load = asyncio.ensure_future(saturate()) if busy else None
    start, wall = cpu_s(store.writer_pid), time.perf_counter()
    await asyncio.gather(*[lane(number) for number in range(LANES)])
    spent, wall = cpu_s(store.writer_pid) - start, time.perf_counter() - wall
    if load is not None:
        load.cancel()
        # The load uses the rest of one core, so the CPU for the rows alone cannot be measured here.
        spent = float("nan")
    await store.close()
    waits.sort()
    done = len(waits) * batch
    return done / spent, 1e3 * waits[len(waits) // 2], 1e3 * waits[int(len(waits) * 0.99)]


async def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as name:
        line = "{:>8} {:>6} {:>6} {:>14} {:>10} {:>10}"
        print(line.format("writer", "batch", "loop", "rows/CPU-s", "median ms", "p99 ms"))
        for batch in (1, 10, 100):
            base = None
            for kind in ("process", "thread", "memory"):
                for busy in (False, True):
                    speed, median, worst = await measure(Path(name), kind, batch, busy=busy)
                    base = base or speed
                    shown = "-" if busy else f"{speed:,.0f} ({speed / base:.2f})"
                    loop = "busy" if busy else "idle"
                    print(line.format(kind, batch, loop, shown, f"{median:.1f}", f"{worst:.1f}"), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
