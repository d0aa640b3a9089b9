"""A node that commits without end and prints what was acked, and what a subscriber has read of it: run by
test_writer_crash."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import AddEvent, AddSubscriber, MessageEvent, MoveCursor, Slice
from greenroom.tests.persistence.store_writes import message

STEPS = (1, 2, 3)


async def main(path: str, kind: str) -> None:
    store = SqliteStore(Path(path), writer="process" if kind == "process" else "thread")
    await store.open()
    sys.stdout.write(f"writer {store.writer_pid or 0}\n")
    sys.stdout.flush()
    chats = [f"si_a_u{i}" for i in range(8)]
    seqs = {}
    for chat in chats:
        state = await store.key("pair", chat[3:])
        last = (await store.last_messages({chat: 1 << 60})).get(chat)
        assert state is None
        seqs[chat] = last.seq if last else 0

    async def lane(own: list[str]) -> None:
        while True:
            slices = [
                Slice(
                    f"conversation/{chat[3:]}",
                    store.epoch,
                    [message(chat, seqs[chat] + n) for n in STEPS],
                )
                for chat in own
            ]
            outcomes = await store.commit(slices)
            assert outcomes == [None] * len(own), outcomes
            for chat in own:
                seqs[chat] += 3
            sys.stdout.write("".join(f"{chat} {seqs[chat]}\n" for chat in own))
            sys.stdout.flush()

    async def subscriber() -> None:
        subscribed = Slice("subscriber/s", store.epoch, [AddSubscriber("s", from_first_message=True)])
        assert await store.commit([subscribed]) == [None]
        cursor = (await store.subscribers())["s"]
        while True:
            tail = await store.tail(cursor, 50)
            cursor = tail.cursor
            assert not tail.missed
            told = [f"{one.conversation_id} {one.seq}" for one in tail.events if isinstance(one, MessageEvent)]
            sys.stdout.write("".join(f"read {line}\n" for line in told))
            sys.stdout.flush()
            note = AddEvent("read", "s", b"")
            moved = Slice("subscriber/s", store.epoch, [MoveCursor("s", cursor), note])
            assert await store.commit([moved]) == [None]

    await asyncio.gather(lane(chats[:3]), lane(chats[3:4]), lane(chats[4:]), subscriber())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
