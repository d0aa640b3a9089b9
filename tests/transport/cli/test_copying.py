"""`greenroom backup` and `greenroom restore` whose disk fails, or that are stopped: they leave nothing behind."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.tests.kit.disk_faults import injecting
from greenroom.tests.kit.node_kit import NODE_PYTHON
from greenroom.tests.persistence.store_writes import commit, message, pair, users

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    store = SqliteStore(folder / "greenroom.db", writer="inline")
    await store.open()
    await commit(store, "user/a", users("a", "b"))
    await commit(store, "conversation/a_b", pair(), *(message("si_a_b", seq, size=3_000) for seq in range(1, 30)))
    await store.close()
    (folder / "secret").write_text("the secret of this node\n")
    return folder


def _greenroom(*arguments: object, prefix: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Exit code, stdout, and the last line of stderr."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GREENROOM_")}
    command = [*prefix, NODE_PYTHON, "-m", "greenroom", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, env=env, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout, (done.stderr.splitlines() or [""])[-1]


FAULTS = {
    "database full": ("greenroom.db.new", "pwrite64", "error=ENOSPC"),
    "mark full": ("greenroom.db-mark", "pwrite64", "error=ENOSPC"),
    "mark not synced": ("greenroom.db-mark", "fsync", "error=EIO"),
    "secret full": ("secret", "sendfile,write", "error=ENOSPC"),
    "secret not synced": ("secret", "fsync", "error=EIO"),
    "folder not synced": ("", "fsync", "error=EIO"),
}


@pytest.mark.ci
@pytest.mark.parametrize("command", ["backup", "restore"])
@pytest.mark.parametrize("fault", list(FAULTS))
def test_fault_of_the_disk(data: Path, tmp_path: Path, command: str, fault: str) -> None:
    copy = tmp_path / "copy"
    arguments, target, left = ("backup", copy, "--data-dir", data), copy, ""
    if command == "restore":
        assert _greenroom(*arguments)[0] == 0
        target, left = tmp_path / "restored", "lock"
        target.mkdir()
        (target / left).touch()
        arguments = ("restore", copy, "--data-dir", target)
    name, call, action = FAULTS[fault]
    code, out, problem = _greenroom(*arguments, prefix=injecting(target / name if name else target, call, action))
    assert (code, out) == (1, "")
    assert problem.startswith("greenroom: ")
    assert [one.name for one in target.iterdir()] == [left] if left else not target.exists()
    code, _, problem = _greenroom(*arguments)
    assert code == 0, problem
    assert (target / "secret").read_text() == (data / "secret").read_text()


def test_files_that_may_not_grow(data: Path, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    prefix = ("prlimit", "--fsize=8192", "--")
    code, out, problem = _greenroom("backup", tmp_path / "copy", "--data-dir", data, prefix=prefix)
    assert (code, out) == (1, "")
    assert problem.startswith("greenroom: ")
    assert list((tmp_path / "copy").iterdir()) == []


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_signal(data: Path, tmp_path: Path, name: str, code: int) -> None:
    prefix = injecting(tmp_path / "copy" / "secret", "fsync", f"signal={name}")
    found, out, problem = _greenroom("backup", tmp_path / "copy", "--data-dir", data, prefix=prefix)
    assert (found, out) == (code, "")
    assert not (tmp_path / "copy").exists()
    assert code == 130 or problem == f"greenroom: stopped by {name}: no copy was made"


def test_killed_before_the_end(data: Path, tmp_path: Path) -> None:
    """Nothing can be removed then, but the secret is copied last."""
    prefix = injecting(tmp_path / "copy" / "greenroom.db-mark", "fsync", "signal=SIGKILL")
    code, out, _ = _greenroom("backup", tmp_path / "copy", "--data-dir", data, prefix=prefix)
    assert (code != 0, out) == (True, "")
    assert sorted(one.name for one in (tmp_path / "copy").iterdir()) == ["greenroom.db-mark", "greenroom.db.new"]
