"""Where the time of a node and of its writer goes while it is driven: cProfile of both, microseconds a message.

    .venv/bin/python -m greenroom.tests.bench.profile_node [--gob] [--window 8 | --rate 1000]

The profiler slows every call, so shares lean towards many small ones; times are wall clock, waits included.
"""

from __future__ import annotations

import argparse
import pstats
import tempfile
from pathlib import Path
from typing import Any

import uvloop

from greenroom.tests.bench.measure import node
from greenroom.tests.bench.one_to_one import drive, job_of

ROWS = 40


async def profile(stem: str, job: dict[str, Any], seconds: float) -> None:
    async with node(module="greenroom.tests.bench.node", env={"BENCH_PROFILE": stem}) as process:
        await drive(process, job, seconds=seconds)


def show(path: str, per: str) -> None:
    """The functions with the most time of their own, for each call of the function `per`."""
    stats = pstats.Stats(path).stats  # type: ignore[attr-defined]
    messages = next(calls for (_, _, name), (_, calls, *_) in stats.items() if name == per)
    print(f"{messages} messages; a message: calls, us of its own, us with what it calls")
    for (file, line, name), (_, calls, own, total, _) in sorted(stats.items(), key=lambda row: -row[1][2])[:ROWS]:
        where = f"{Path(file).parent.name}/{Path(file).name}:{line}"
        print(f"{calls / messages:8.2f} {1e6 * own / messages:8.1f} {1e6 * total / messages:8.1f}  {name}  {where}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gob", action="store_true")
    parser.add_argument("--window", type=int, default=8, help="messages in flight of each pair")
    parser.add_argument("--rate", type=float, help="messages per second, of all pairs together")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    job = job_of(options.window, "go" if options.gob else "js", gzip=options.gob) | {"rate": options.rate}
    with tempfile.TemporaryDirectory() as folder:
        stem = f"{folder}/profile"
        uvloop.run(profile(stem, job, options.seconds))
        show(f"{stem}.node", "receiveMsg_SendMessage")
        show(f"{stem}.writer", "_add_message")


if __name__ == "__main__":
    main()
