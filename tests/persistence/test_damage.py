"""Files cut or flipped anywhere: all that was acked is read back, or an error or a finding names what is damaged."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from greenroom.persistence.check import check
from greenroom.persistence.errors import StoreDamaged, StoreError
from greenroom.persistence.store_sqlite import SqliteStore
from greenroom.tests.persistence.power_node import CHATS, chat_message

SEED = int(os.environ.get("GREENROOM_DAMAGE_SEED") or random.SystemRandom().randrange(1 << 32))
NAME = "greenroom.db"


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
    assert set(files) == {NAME, f"{NAME}-wal", f"{NAME}-mark"}
    return files, acked


def _damaged(content: bytes, dice: random.Random) -> bytes:
    if dice.random() < 0.5:
        return content[: dice.randrange(len(content))]
    flipped = bytearray(content)
    flipped[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    return bytes(flipped)


async def _verdict(folder: Path, files: dict[str, bytes], acked: dict[str, int]) -> str:
    """"whole", or "named: ..." , or "silent: ..." for a loss that neither a read nor the check names."""
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    found = check(folder)
    # A failed read must be an error even where the check has found something.
    store = SqliteStore(folder / NAME, writer="inline")
    silent, named = "", f"{found[0]}" if found else ""
    try:
        await store.open()
    except StoreError as error:
        await store.close()
        return f"named: {error}"
    for chat in CHATS:
        try:
            stored = await store.messages(chat, 1, acked[chat])
        except StoreError as error:
            named = named or str(error)
            continue
        if [m.seq for m in stored] != list(range(1, acked[chat] + 1)):
            silent = f"{chat}: {len(stored)} of {acked[chat]} messages"
        if any(m.body != chat_message(chat, m.seq).body for m in stored):
            silent = f"{chat}: a message is another"
    await store.close()
    if silent:
        return f"silent: {silent} (check: {found[:1]})"
    return f"named: {named}" if named else "whole"


@pytest.mark.timeout(150)
@pytest.mark.parametrize("images", [20, pytest.param(200, marks=pytest.mark.ci)])
async def test_damaged_files(tmp_path: Path, killed: tuple[dict[str, bytes], dict[str, int]], images: int) -> None:
    print(f"GREENROOM_DAMAGE_SEED={SEED}")
    dice = random.Random(SEED)
    files, acked = killed
    assert await _verdict(tmp_path / "image", files, acked) == "whole"
    named = 0
    for number in range(images):
        name = (NAME, f"{NAME}-wal")[number % 2]
        verdict = await _verdict(tmp_path / "image", files | {name: _damaged(files[name], dice)}, acked)
        assert not verdict.startswith("silent"), f"image {number} ({name}): {verdict}"
        named += verdict != "whole"
    assert named


async def test_cut_log_without_the_mark(tmp_path: Path, killed: tuple[dict[str, bytes], dict[str, int]]) -> None:
    """What the mark is for: without it the same cut is a silent loss, which the verdict sees."""
    files, acked = killed
    cut = files | {f"{NAME}-wal": files[f"{NAME}-wal"][: 32 + 2 * 4120]}
    assert "-wal is damaged" in await _verdict(tmp_path / "image", cut, acked)
    del cut[f"{NAME}-mark"]
    assert (await _verdict(tmp_path / "image", cut, acked)).startswith("silent")


async def test_damaged_message(tmp_path: Path, killed: tuple[dict[str, bytes], dict[str, int]]) -> None:
    """A flip in a body, which is no damage to SQLite."""
    files, _ = killed
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    connection = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    connection.execute("UPDATE message SET body = zeroblob(length(body)) WHERE conversation = 1 AND seq = 3")
    (chat,) = connection.execute("SELECT conversation_id FROM conversation WHERE id = 1").fetchone()
    (reader,) = connection.execute("SELECT user_id FROM user WHERE id = 1").fetchone()
    connection.execute(
        "INSERT OR IGNORE INTO record (owner, conversation, place, conversation_type, group_id) VALUES (1, 1, 1, 1, '')"
    )
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    store = SqliteStore(tmp_path / NAME, writer="inline")
    await store.open()
    assert len(await store.messages(chat, 1, 2)) == 2
    for read in (
        store.messages(chat, 1, 9), store.pull(reader, [(chat, 3, 3, 1)], limit_bytes=1),
        store.messages_at(chat, [3]), store.last_messages({chat: 3}),
    ):  # fmt: skip
        with pytest.raises(StoreDamaged, match=f"{chat}: message 3 is damaged"):
            await read
    await store.close()
    assert any("message 3 is damaged" in finding.detail for finding in check(tmp_path))
