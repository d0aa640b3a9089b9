"""What was acked survives a loss of power at any moment: disks as they may be found afterwards, from a trace of a
run (see `disk_kit`). A kill shows less: the kernel still writes what was never synced."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.errors import StoreDamaged, StoreUnavailable
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import BEGINNING, NotedEvent
from greenroom.tests.kit.disk_kit import Disk, Event, disk_strace, events_in
from greenroom.tests.kit.stored import messages_of
from greenroom.tests.persistence.sqlite.power_node import CHATS, chat_message

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEED = int(os.environ.get("GREENROOM_POWER_SEED") or random.SystemRandom().randrange(1 << 32))
ROUNDS = 30
MAKINGS = 20
"""Images of each step in which a store is made."""
RUNS = ("killed", "stopped", "stopped")


def _record(folder: Path, synchronous: str) -> list[Event]:
    """A new store, a kill, a recovery, a stop and one more start, all of it under load."""
    root, said = folder / "root", folder / "said"
    root.mkdir()
    script = Path(__file__).with_name("power_node.py")
    events: list[Event] = []
    for number, ending in enumerate(RUNS):
        trace = folder / f"trace{number}"
        command = (sys.executable, str(script), str(root / "data"), str(ROUNDS), ending, synchronous)
        with said.open("ab") as stream:
            done = subprocess.run(
                [*disk_strace(trace), *command],
                stdout=stream, stderr=subprocess.PIPE, text=True, timeout=60, check=False,
            )  # fmt: skip
        assert done.returncode == (-9 if ending == "killed" else 0), done.stderr
        after = events[-1].end + 1 if events else 0
        found = events_in(trace, root, said)
        events += [event._replace(start=event.start + after, end=event.end + after) for event in found]
    return sorted(events, key=lambda event: event.end if event.kind == "sync" else event.start)


def _images(
    events: list[Event], root: Path, moments: Iterable[int], dice: random.Random
) -> Iterator[tuple[dict[Path, bytes], dict[str, int]]]:
    """(files, what was acked by then) at each of the moments, which are counts of events."""
    disk, done = Disk(root), 0
    acked: dict[str, int] = {}
    for moment in sorted(moments):
        for event in events[done:moment]:
            if event.kind == "said":
                name, number = event.data.split()
                acked[name.decode()] = int(number)
            else:
                disk.take(event)
        done = moment
        yield disk.survivors(dice), dict(acked)


def _at_random(events: list[Event], points: int, dice: random.Random) -> list[int]:
    return [dice.randrange(1, len(events) + 1) for _ in range(points)]


async def _lost(folder: Path, files: dict[Path, bytes], acked: dict[str, int]) -> list[str]:
    """What is wrong with a store that was opened on these files."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "data").mkdir(parents=True)
    for path, content in files.items():
        (folder / path).write_bytes(content)
    wrong: list[str] = []
    store = SqliteStore(folder / "data" / "greenroom.db", writer="inline")
    await store.open()
    for chat in CHATS:
        stored = await messages_of(store, chat)
        if [m.seq for m in stored] != list(range(1, len(stored) + 1)) or len(stored) < acked.get(chat, 0):
            wrong.append(f"{chat}: {len(stored)} are stored, {acked.get(chat)} were acked")
        wrong += [f"{chat}: seq {m.seq} is another" for m in stored if m.body != chat_message(chat, m.seq).body]
    known = await store.users(["a"])
    nickname = int(known[0].nickname) if known and known[0].nickname.isdigit() else 0
    if nickname < acked.get("nickname", 0):
        wrong.append(f"nickname {nickname} is stored, {acked['nickname']} was acked")
    tail = await store.tail(BEGINNING, 1 << 20)
    told = [int(one.data) for one in tail.events if isinstance(one, NotedEvent)]
    if told != list(range(1, nickname + 1)):
        wrong.append(f"events {told[:3]}..{told[-3:]} were noted, nickname {nickname} is stored")
    await store.close()
    return wrong + [str(finding) for finding in check(folder / "data")]


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder for the images: in memory where there is one, since nothing of them need last."""
    shared = Path("/dev/shm")
    folder = (shared if os.access(shared, os.W_OK) else tmp_path) / f"greenroom-power-{os.getpid()}"
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("points", [50, pytest.param(1_000, marks=pytest.mark.ci)])
async def test_acked_survives_loss_of_power(tmp_path: Path, memory: Path, points: int) -> None:
    print(f"GREENROOM_POWER_SEED={SEED}")
    events = _record(tmp_path, "FULL")
    log = "greenroom.db-wal"
    begun = [e for e in events if e.kind == "write" and e.path.name == log and e.offset == 0]
    moved = [e for e in events if e.kind == "write" and e.path.name == "greenroom.db" and e.offset]
    assert len(begun) > len(RUNS), "the log was never begun anew"
    assert moved, "the log was never moved into the database"
    files = {e.path for e in events if e.kind == "make"}
    assert {path.name for path in files} >= {"greenroom.db", log}
    dice = random.Random(SEED)
    # The steps in which a store is made are few: random moments would hardly meet them.
    made = events.index(begun[0])
    moments = [*range(1, made + 10)] * MAKINGS + _at_random(events, points, dice)
    losses = 0
    for number, (image, acked) in enumerate(_images(events, tmp_path / "root", moments, dice)):
        wrong = await _lost(memory, image, acked)
        assert not wrong, f"image {number}: {wrong[:5]}"
        losses += bool(acked)
    assert losses > points // 2


@pytest.mark.ci
@pytest.mark.timeout(120)
@pytest.mark.parametrize("synchronous", ["NORMAL", "OFF"])
async def test_missing_sync_is_found(tmp_path: Path, memory: Path, synchronous: str) -> None:
    events = _record(tmp_path, synchronous)
    found = 0
    dice = random.Random("planted")
    for image, acked in _images(events, tmp_path / "root", _at_random(events, 50, dice), dice):
        try:
            found += any("were acked" in one for one in await _lost(memory, image, acked))
        except StoreDamaged:  # The mark was on disk before what it counts.
            found += bool(acked)
        except StoreUnavailable:
            assert synchronous == "OFF", "the log alone loses whole commits"
            found += bool(acked)
    assert found
