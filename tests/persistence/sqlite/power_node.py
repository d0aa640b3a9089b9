"""A node that commits in rounds and says what was acked: run under strace by test_power_loss.

    power_node.py <data directory> <rounds> <killed|stopped> <FULL|NORMAL|OFF>
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from greenroom.persistence.data_directory import DataDirectory
from greenroom.persistence.sqlite import writer as writer_module
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.statements import connect
from greenroom.persistence.store import (
    AddEvent,
    AddMessage,
    AddSubscriber,
    AnyWrite,
    BumpVersion,
    ChangeRecord,
    ChangeRow,
    PutRows,
    RaiseReadSeq,
    SetReadFlags,
    Slice,
)
from greenroom.persistence.tables import BlackRow, FriendRow, TokenRow
from greenroom.tests.persistence.store_writes import group, member, members, message, record, users

if TYPE_CHECKING:
    from greenroom.persistence.sqlite.statements import SqliteConnection

CHATS = [f"si_a_u{number}" for number in range(6)]
CHECKPOINT_BYTES = 200_000
"""As the writer counts: some dozens of commits, so that the log is moved and begun anew many times."""


def chat_message(chat: str, seq: int) -> AddMessage:
    """Some bodies fill pages of their own."""
    dice = random.Random(f"{chat}/{seq}")
    body = dice.randbytes(dice.choice((20, 300, 300, 300, 6_000)))
    return msgspec.structs.replace(message(chat, seq), body=body)


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


async def main(folder: Path, rounds: int) -> None:
    with DataDirectory(folder) as directory:
        store = SqliteStore(directory.database, writer="thread")
        await store.open()
        known = await store.users(["a"])
        if not known:
            assert await store.commit([Slice("user/a", store.epoch, [users("a", *[c[5:] for c in CHATS])])]) == [None]
        nickname = int(known[0].nickname) if known and known[0].nickname.isdigit() else 0
        lanes = [_talk(store, CHATS[:3], rounds), _talk(store, CHATS[3:], rounds), _rename(store, nickname, rounds)]
        await asyncio.gather(*lanes)
        # The last one is in the log alone.
        writer_module.CHECKPOINT_BYTES_MAX = 1 << 30  # type: ignore[misc]
        await _rename(store, nickname + rounds, 1)
        if sys.argv[3] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        await store.close()


async def _talk(store: SqliteStore, chats: list[str], rounds: int) -> None:
    dice = random.Random(f"{chats}/{store.epoch}")
    seqs = {}
    for chat in chats:
        last = (await store.last_messages({chat: 1 << 60})).get(chat)
        seqs[chat] = last.seq if last else 0
    for _ in range(rounds):
        slices = []
        own = dice.sample(chats, dice.randint(1, 3))
        for chat in own:
            count = dice.randint(1, 3)
            writes: list[AnyWrite] = [chat_message(chat, seqs[chat] + n) for n in range(1, count + 1)]
            writes.append(record(chat, ("a", chat[5:]), (chat[5:], "a")))
            seqs[chat] += count
            if dice.random() < 0.2:
                writes.append(SetReadFlags(chat, chat[5:], 1, seqs[chat], []))
            slices.append(Slice(f"conversation/{chat[3:]}", store.epoch, writes))
        assert await store.commit(slices) == [None] * len(slices)
        for chat in own:
            say(f"{chat} {seqs[chat]}")


async def _rename(store: SqliteStore, number: int, rounds: int) -> None:
    """Batches without a message count too."""
    for value in range(number + 1, number + rounds + 1):
        change = ChangeRow("user", ("a",), {"nickname": str(value)})
        assert await store.commit([Slice("user/a", store.epoch, [change, *_other_writes(value)])]) == [None]
        say(f"nickname {value}")


def _other_writes(value: int) -> list[AnyWrite]:
    """One of each kind that the chats do not have."""
    chat = CHATS[value % len(CHATS)]
    name, digest = f"g{value}", hashlib.blake2b(b"%d" % value, digest_size=16).digest()
    return [
        PutRows([TokenRow("a", digest, 1, 0, 1 << 40)]),
        RaiseReadSeq(chat, "a", value),
        ChangeRecord("a", chat, {"ex": f"{value}" * 50}),
        group(name, count=1 + len(CHATS)),
        members(name, member("a", 100), *(member(each[5:], nickname=f"{value}" * 30) for each in CHATS)),
        BumpVersion("joined", "a", [(name, 1)]),
        PutRows([FriendRow("a", f"f{value}")]),
        PutRows([BlackRow("a", f"b{value}")]),
        AddSubscriber("reader"),
        AddEvent("renamed", "a", b"%d" % value),
    ]


def connect_writer(path: Path | str, *, read_only: bool = False, create: bool = True) -> SqliteConnection:
    connection = connect(path, read_only=read_only, create=create)
    connection.execute(f"PRAGMA synchronous = {sys.argv[4]}")
    return connection


if __name__ == "__main__":
    writer_module.connect = connect_writer  # type: ignore[attr-defined]
    writer_module.CHECKPOINT_BYTES_MAX = CHECKPOINT_BYTES  # type: ignore[misc]
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
