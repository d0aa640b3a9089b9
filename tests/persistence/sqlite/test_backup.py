"""Copies of a store: whole, checked, of one moment, and refused where they could do harm."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from greenroom.persistence.data_directory import DataDirectory
from greenroom.persistence.errors import (
    DataDirectoryInUse,
    StoreDamaged,
    StoreError,
    StoreUnavailable,
    TargetInUse,
)
from greenroom.persistence.sqlite import statements
from greenroom.persistence.sqlite.backup import back_up, restore
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import BumpVersion, Slice
from greenroom.tests.kit.stored import messages_of
from greenroom.tests.persistence.store_writes import commit, message, pair, users

CHAT = "si_a_b"
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def _quiet(what: str, done: int, total: int) -> None:
    pass


async def _store(data: Path, *, messages: int = 0) -> SqliteStore:
    data.mkdir(exist_ok=True)  # noqa: ASYNC240
    store = SqliteStore(data / "greenroom.db", writer="inline")
    await store.open()
    if messages:
        await commit(store, "user/a", users("a", "b"), BumpVersion("friends", "a", [("b", 1)]))
        await commit(store, "conversation/a_b", pair(), *_messages(1, messages))
    return store


def _messages(first: int, last: int) -> list[Any]:
    return [message(CHAT, seq, size=3_000) for seq in range(first, last + 1)]


async def test_copy_is_of_one_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is made, others write; what was committed before is in it, and nothing else."""
    monkeypatch.setattr(statements, "COPIED_PAGES", 10)
    data, copy = tmp_path / "data", tmp_path / "copy"
    store = await _store(data, messages=100)
    (data / "secret").write_text("the secret\n")
    steps: list[tuple[str, int, int]] = []
    writer = store._committer
    assert writer is not None

    def tell(what: str, done: int, total: int) -> None:
        steps.append((what, done, total))
        if len(steps) in (2, 4):
            first = 51 + 50 * (len(steps) // 2)
            slices = [_slice(store, first, first + 49)]
            assert writer.commit(slices).result() == [None]

    made = back_up(data, copy, tell=tell)
    assert await store.read_seq(CHAT, "a") == 200
    await store.close()
    assert steps[-1][0] == "check"
    done = [step[1] for step in steps[:-1]]
    assert done == sorted(done)
    assert done[-1] == steps[-2][2] == made.size
    assert sorted(one.name for one in copy.iterdir()) == ["greenroom.db", "greenroom.db-mark", "secret"]
    assert {one.stat().st_mode & 0o777 for one in copy.iterdir()} == {0o600}
    assert copy.stat().st_mode & 0o777 == 0o700
    assert check(copy) == []

    restored = tmp_path / "restored"
    restore(copy, restored, tell=_quiet)
    assert (restored / "secret").read_text() == "the secret\n"
    assert check(restored) == []
    again = await _store(restored)
    assert [one.seq for one in await messages_of(again, CHAT)] == list(range(1, 101))
    assert await commit(again, "conversation/a_b", *_messages(101, 110)) is None
    await again.close()
    assert check(restored) == []


def _slice(store: SqliteStore, first: int, last: int) -> Any:
    return Slice("conversation/a_b", store.epoch, _messages(first, last))


async def test_restored_store_has_version_logs_of_its_own(tmp_path: Path) -> None:
    """A client whose versions are above those of the copy must read its lists from the start."""
    store = await _store(tmp_path / "data", messages=1)
    back_up(tmp_path / "data", tmp_path / "copy", tell=_quiet)
    before = await store.changes("friends", "a", 0)
    await store.close()
    restore(tmp_path / "copy", tmp_path / "restored", tell=_quiet)
    again = await _store(tmp_path / "restored")
    after = await again.changes("friends", "a", 0)
    assert (after.version, after.changed) == (before.version, before.changed)
    assert after.version_id != before.version_id
    await again.close()


@pytest.mark.parametrize("before", ["store_4", "store_5"])
async def test_store_of_an_earlier_release(tmp_path: Path, before: str) -> None:
    with tarfile.open(FIXTURES / f"{before}.tar.gz") as files:
        files.extractall(tmp_path / "data", filter="data")
    back_up(tmp_path / "data", tmp_path / "copy", tell=_quiet)
    restore(tmp_path / "copy", tmp_path / "restored", tell=_quiet)
    assert check(tmp_path / "restored") == []
    store = await _store(tmp_path / "restored")
    assert len(await messages_of(store, "si_alice_bob")) > 10
    await store.close()


async def test_refused_targets(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    with pytest.raises(StoreUnavailable, match="no database"):
        back_up(data, copy, tell=_quiet)
    assert not copy.exists()
    await (await _store(data, messages=3)).close()
    copy.mkdir()
    (copy / "old").touch()
    with pytest.raises(TargetInUse, match="not empty"):
        back_up(data, copy, tell=_quiet)
    (copy / "old").unlink()
    back_up(data, copy, tell=_quiet)
    with pytest.raises(TargetInUse, match=r"has a store \(greenroom.db, greenroom.db-mark"):
        restore(copy, data, tell=_quiet)
    other = tmp_path / "other"
    with DataDirectory(other), pytest.raises(DataDirectoryInUse):
        restore(copy, other, tell=_quiet)
    (other / "greenroom.db-wal").touch()
    with pytest.raises(TargetInUse, match=r"\(greenroom.db-wal\)"):
        restore(copy, other, tell=_quiet)
    with pytest.raises(StoreUnavailable, match="no database"):
        restore(tmp_path / "nothing", tmp_path / "restored", tell=_quiet)


@pytest.mark.parametrize("at", [20, 5_000, -3_000])
async def test_damaged_data_is_neither_copied_nor_restored(tmp_path: Path, at: int) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    await (await _store(data, messages=20)).close()
    back_up(data, copy, tell=_quiet)
    for folder in (data, copy):
        content = bytearray((folder / "greenroom.db").read_bytes())
        content[at] ^= 1
        (folder / "greenroom.db").write_bytes(content)
    with pytest.raises(StoreError):
        back_up(data, tmp_path / "second", tell=_quiet)
    assert not (tmp_path / "second").exists()
    with pytest.raises(StoreError):
        restore(copy, tmp_path / "restored", tell=_quiet)
    assert [one.name for one in (tmp_path / "restored").iterdir()] == ["lock"]


def _fails(what: str, done: int, total: int) -> None:
    if what == "check":
        raise BrokenPipeError


@pytest.mark.parametrize("has_target", [True, False])
async def test_failed_copy_leaves_what_was_there(tmp_path: Path, has_target: bool) -> None:
    data, copy = tmp_path / "data", tmp_path / "new" / "copy"
    await (await _store(data, messages=3)).close()
    (data / "secret").write_text("the secret\n")
    if has_target:
        copy.mkdir(parents=True)
    with pytest.raises(BrokenPipeError):
        back_up(data, copy, tell=_fails)
    assert (tmp_path / "new").exists() == has_target
    assert not has_target or list(copy.iterdir()) == []
    back_up(data, copy, tell=_quiet)
    with pytest.raises(BrokenPipeError):
        restore(copy, tmp_path / "restored", tell=_fails)
    assert [one.name for one in (tmp_path / "restored").iterdir()] == ["lock"]


async def test_target_that_is_removed_while_the_copy_is_made(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "new" / "copy"
    await (await _store(data, messages=3)).close()

    def remove(what: str, done: int, total: int) -> None:
        if what == "check":
            shutil.rmtree(copy)

    with pytest.raises((StoreUnavailable, FileNotFoundError)):
        back_up(data, copy, tell=remove)
    assert not (tmp_path / "new").exists()


async def test_copy_that_was_exchanged_for_an_older_one(tmp_path: Path) -> None:
    store = await _store(tmp_path / "data", messages=5)
    back_up(tmp_path / "data", tmp_path / "older", tell=_quiet)
    await commit(store, "conversation/a_b", *_messages(6, 9))
    back_up(tmp_path / "data", tmp_path / "copy", tell=_quiet)
    await store.close()
    shutil.copy(tmp_path / "older" / "greenroom.db", tmp_path / "copy" / "greenroom.db")
    with pytest.raises(StoreDamaged, match="its mark"):
        restore(tmp_path / "copy", tmp_path / "restored", tell=_quiet)


@pytest.mark.parametrize(("mark", "problem"), [(None, "missing"), (b"", "damaged"), (b"\0" * 64, "damaged")])
async def test_copy_without_its_mark_is_refused(tmp_path: Path, mark: bytes | None, problem: str) -> None:
    """Only the mark shows that an older, whole database stands in the place of the copied one."""
    await (await _store(tmp_path / "data", messages=5)).close()
    back_up(tmp_path / "data", tmp_path / "copy", tell=_quiet)
    file = tmp_path / "copy" / "greenroom.db-mark"
    file.unlink()
    if mark is not None:
        file.write_bytes(mark)
    with pytest.raises(StoreDamaged, match=f"{file} is {problem}: .* may be incomplete"):
        restore(tmp_path / "copy", tmp_path / "restored", tell=_quiet)
    assert not (tmp_path / "restored").exists()


async def test_folder_of_a_node_is_no_copy(tmp_path: Path) -> None:
    store = await _store(tmp_path / "data", messages=5)
    with pytest.raises(StoreUnavailable, match=r"the folder of a node, .* as it has greenroom\.db-wal"):
        restore(tmp_path / "data", tmp_path / "restored", tell=_quiet)
    await store.close()


def _copy_online(source: Path, target: Path) -> None:
    """SQLite's own online backup, by another process, as its command-line tool makes it."""
    code = "import sqlite3, sys; one, two = map(sqlite3.connect, sys.argv[1:]); one.backup(two)"
    subprocess.run([sys.executable, "-c", code, str(source), str(target)], check=True)


async def test_copies_of_other_tools_are_refused_with_advice(tmp_path: Path) -> None:
    store = await _store(tmp_path / "data", messages=5)
    (tmp_path / "sqlite").mkdir()
    target = tmp_path / "sqlite" / "greenroom.db"
    _copy_online(tmp_path / "data" / "greenroom.db", target)
    opened = SqliteStore(target, writer="inline")
    with pytest.raises(StoreDamaged, match="greenroom backup"):
        await opened.open()
    assert any("greenroom backup" in finding.detail for finding in check(tmp_path / "sqlite"))
    shutil.copytree(tmp_path / "data", tmp_path / "files", ignore=shutil.ignore_patterns("*-wal", "*-shm"))
    torn = SqliteStore(tmp_path / "files" / "greenroom.db", writer="inline")
    with pytest.raises(StoreDamaged, match="greenroom backup"):
        await torn.open()
    await store.close()
