"""Files cut or flipped anywhere: whatever the store can be asked is answered as before, or with an error that names
what is damaged, and the check finds it."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import DecodeError

from greenroom.persistence.errors import StoreDamaged, StoreError
from greenroom.persistence.sqlite import check as check_module
from greenroom.persistence.sqlite import schema, statements
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import BEGINNING
from greenroom.tests.persistence.sqlite.power_node import CHATS, chat_message

SEED = int(os.environ.get("GREENROOM_DAMAGE_SEED") or random.SystemRandom().randrange(1 << 32))
NAME = "greenroom.db"
GROUPS = 70
ALL_SEQS = range(1, 1000)
"""More than were sent in a chat."""
FRAME_BYTES = 24 + 4096
"""Of the log: a head and a page."""

Killed = tuple[dict[str, bytes], dict[str, int]]
"""Files, and what was acked."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, bytes], dict[str, int]]:
    """Files of a node that was killed under load, and what it had acked; the database and its log both hold
    messages that the other does not."""
    folder = tmp_path_factory.mktemp("killed")
    script = Path(__file__).with_name("power_node.py")
    acked: dict[str, int] = {}
    for ending in ("stopped", "killed"):
        done = subprocess.run(
            [sys.executable, str(script), str(folder / "data"), "30", ending, "FULL"],
            stdout=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == (-9 if ending == "killed" else 0)
        for line in done.stdout.splitlines():
            name, number = line.split()
            acked[name] = int(number)
    files = {f.name: f.read_bytes() for f in (folder / "data").iterdir() if not f.name.endswith(("-shm", "lock"))}
    log = f"{NAME}-wal"
    assert set(files) == {NAME, log, f"{NAME}-mark"}
    # Without what is left over from earlier lives of the log, where damage does no harm.
    frames = [files[log][start : start + FRAME_BYTES] for start in range(32, len(files[log]), FRAME_BYTES)]
    files[log] = files[log][:32] + b"".join(one for one in frames if one[8:16] == files[log][16:24])
    return files, acked


def _damaged(content: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.5:
        return content[: dice.randrange(len(content))]
    flipped = bytearray(content)
    flipped[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return bytes(flipped)


def _questions() -> list[tuple[Any, ...]]:
    """All that the store holds, as it is asked for: (method, arguments)."""
    names = ["a", *(chat[5:] for chat in CHATS)]
    others = [f"{kind}{number}" for number in range(GROUPS) for kind in "fb"]
    groups = [f"g{number}" for number in range(GROUPS)]
    return [
        ("users", [*names, *others]),
        ("users_page", 0, 99),
        ("subscribers",),
        ("tail", BEGINNING, 1 << 20),
        ("groups", groups),
        ("last_messages", dict.fromkeys(CHATS, 1 << 40)),
        ("pull", "a", [(chat, 1, 1 << 40, 1 << 20) for chat in CHATS], 1 << 30),
        *(("messages_at", chat, ALL_SEQS) for chat in CHATS),
        *(("reading", chat, "a") for chat in CHATS),
        *(("key", "pair", chat[3:]) for chat in CHATS),
        *((method, name) for method in ("tokens", "records", "joined_groups") for name in names),
        *((method, name, None, 99) for method in ("newest_seqs", "all_seq_states") for name in names),
        *(("spans", name, CHATS) for name in names),
        *(("changes", log, name, 0) for log in ("conversations", "joined") for name in names),
        *(("pair_facts", "a", name) for name in [*names[1:], *others]),
        *(("members", name) for name in groups),
        *(("members_page", name, 0, 99) for name in groups),
        *(("member_ids", name, None, 99) for name in groups),
        *(("records_page", name, 0, 99) for name in names),
        *(("record_ids", name, None, 99) for name in names),
        *(("notification_states", name, [f"n_{chat[3:]}" for chat in CHATS]) for name in names),
    ]


def _lay(folder: Path, files: dict[str, bytes]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    for name, content in files.items():
        (folder / name).write_bytes(content)


async def _answers(folder: Path) -> dict[str, object]:
    """Of every question; an answer may be the error that came instead. Raises the error of an opening."""
    store = SqliteStore(folder / NAME, writer="inline")
    answers: dict[str, object] = {}
    try:
        await store.open()
        for method, *arguments in _questions():
            name = f"{method} {arguments}"
            try:
                answers[name] = await getattr(store, method)(*arguments)
            except StoreDamaged as error:
                answers[name] = error
        assert store.damage == sum(isinstance(one, StoreDamaged) for one in answers.values())
    finally:
        await store.close()
    return answers


async def _verdict(folder: Path, files: dict[str, bytes], sound: dict[str, object]) -> str:
    """"whole", or "named: ..." , or "silent: ..." for a loss that is not named where it is met, or not by the check."""
    _lay(folder, files)
    found = check(folder)
    try:
        answers = await _answers(folder)
    except StoreDamaged as error:
        answers = {"opening": error}
    else:
        for name, answer in answers.items():
            if not isinstance(answer, StoreDamaged) and answer != sound[name]:
                return f"silent: another answer to {name} (check: {found[:1]})"
    errors = [str(one) for one in answers.values() if isinstance(one, StoreDamaged)]
    if any(str(folder / NAME) not in error for error in errors):
        return f"silent: {errors} do not say where"
    if errors and not found:
        return f"silent: the check does not find {errors[0]}"
    return f"named: {[*errors, *found][0]}" if found else "whole"


@pytest.fixture
async def sound(killed: Killed, tmp_path: Path) -> dict[str, object]:
    """The answers of the files as they were left, which hold what was acked."""
    files, acked = killed
    _lay(tmp_path / "sound", files)
    answers = await _answers(tmp_path / "sound")
    for chat in CHATS:
        messages = answers[f"messages_at {[chat, ALL_SEQS]}"]
        assert isinstance(messages, list)
        assert [m.seq for m in messages] == list(range(1, acked[chat] + 1))
        assert all(m.body == chat_message(chat, m.seq).body for m in messages)
    assert answers["joined_groups ['a']"] == [f"g{number}" for number in range(1, acked["nickname"] + 1)]
    return answers


@pytest.mark.timeout(150)
@pytest.mark.parametrize("images", [20, pytest.param(200, marks=pytest.mark.ci)])
async def test_damaged_files(tmp_path: Path, killed: Killed, sound: dict[str, object], images: int) -> None:
    print(f"GREENROOM_DAMAGE_SEED={SEED}")
    dice = random.Random(SEED)
    files, _ = killed
    assert await _verdict(tmp_path / "image", files, sound) == "whole"
    named = 0
    for number in range(images):
        name = (NAME, f"{NAME}-wal")[number % 2]
        verdict = await _verdict(tmp_path / "image", files | {name: _damaged(files[name], dice)}, sound)
        assert not verdict.startswith("silent"), f"image {number} ({name}): {verdict}"
        named += verdict != "whole"
    assert named


@pytest.mark.timeout(90)
@pytest.mark.parametrize("logged", [True, False])
async def test_damaged_header(tmp_path: Path, killed: Killed, sound: dict[str, object], logged: bool) -> None:
    """Each bit of the byte that says that there are checksums, and some of each other one."""
    files, _ = killed
    if not logged:
        _lay(tmp_path / "stopped", files)
        await _answers(tmp_path / "stopped")
        files = {name: (tmp_path / "stopped" / name).read_bytes() for name in (NAME, f"{NAME}-mark")}
    assert await _verdict(tmp_path / "image", files, sound) == "whole"
    for byte, bit in [(20, bit) for bit in range(8)] + [(byte, byte % 8) for byte in range(100)]:
        flipped = bytearray(files[NAME])
        flipped[byte] ^= 1 << bit
        verdict = await _verdict(tmp_path / "image", files | {NAME: bytes(flipped)}, sound)
        assert not verdict.startswith("silent"), f"bit {bit} of byte {byte}: {verdict}"
        assert logged or verdict != "whole"


@pytest.mark.timeout(90)
async def test_flips_without_checksums(
    tmp_path: Path, killed: Killed, sound: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What they are for: the verdict sees what gets lost without them."""
    monkeypatch.setattr(statements, "_checksums", lambda: "unix")
    for module in (schema, check_module):
        monkeypatch.setattr(module, "verifies", lambda _: True)
    files, _ = killed
    dice, silent = random.Random(SEED), 0
    for _ in range(60):
        flipped = bytearray(files[NAME])
        flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
        with contextlib.suppress(DecodeError, LookupError, StoreError, TypeError, ValueError):  # As nobody expects it.
            verdict = await _verdict(tmp_path / "image", files | {NAME: bytes(flipped)}, sound)
            silent += verdict.startswith("silent: another answer")
    assert silent


async def test_cut_log_without_the_mark(tmp_path: Path, killed: Killed, sound: dict[str, object]) -> None:
    """What the mark is for: without it the same cut is a silent loss, which the verdict sees."""
    files, _ = killed
    cut = files | {f"{NAME}-wal": files[f"{NAME}-wal"][: 32 + 2 * 4120]}
    assert "-wal is damaged" in await _verdict(tmp_path / "image", cut, sound)
    del cut[f"{NAME}-mark"]
    assert (await _verdict(tmp_path / "image", cut, sound)).startswith("silent")
