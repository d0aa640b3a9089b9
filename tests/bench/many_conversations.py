"""A few users write to very many others: first once to each, then to any of them, so many sends in flight."""

from __future__ import annotations

import asyncio
import os
import random
from typing import TYPE_CHECKING, Any

from greenroom.actors.wire import sdkws_pb2
from greenroom.tests.bench.lean_client import PLATFORM, TEXT_BYTES, LeanClient, connect, request_frame
from greenroom.tests.bench.window import Window, say, settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["spread"]

_TEXT = b'{"content":"%b"}' % (b"x" * TEXT_BYTES)


def _frame(user_id: str, to: str) -> bytes:
    message = sdkws_pb2.MsgData(
        sendID=user_id, recvID=to, clientMsgID=os.urandom(16).hex(), senderPlatformID=PLATFORM, sessionType=1,
        msgFrom=100, contentType=101, content=_TEXT, createTime=1_700_000_000_000,
    )  # fmt: skip
    return request_frame(1003, user_id, message.SerializeToString())


async def spread(job: dict[str, Any]) -> None:
    """`peers` are shared out among the senders; of each sender's only the first `few` are written to, or all."""
    users, window = job["users"], job["window"]
    senders = [await connect(job["port"], user, token) for user, token in users]
    own = [job["peers"][: job["few"]] if job["few"] else job["peers"] for _ in users]
    dice = random.Random(1)
    stopped = False
    filled = asyncio.Event()

    def refill(user_id: str, receiver: Callable[[], str | None], client: LeanClient, answers: int) -> None:
        frames = []
        for _ in range(answers):
            to = None if stopped else receiver()
            if to is None:
                if all(each.sent >= len(peers) for each, peers in zip(senders, own, strict=True)):
                    filled.set()
            else:
                frames.append(_frame(user_id, to))
        client.sent += len(frames)
        client.transport.write(b"".join(frames))

    def begin(choose: Callable[[list[str]], Callable[[], str | None]]) -> None:
        for sender, (user_id, _), peers in zip(senders, users, own, strict=True):
            receiver = choose(peers)
            sender.on_data = lambda client, answers, user_id=user_id, receiver=receiver: refill(
                user_id, receiver, client, answers
            )
            sender.on_data(sender, window)

    def each_once(peers: list[str]) -> Callable[[], str | None]:
        left: Iterator[str] = iter(peers)
        return lambda: next(left, None)

    if job["fill"]:
        begin(each_once)
        await filled.wait()
        await settle(senders, [])
        say({})
        return
    begin(lambda peers: lambda: dice.choice(peers))
    await asyncio.sleep(job["warm_s"])
    done = Window(job["pid"], senders)
    await asyncio.sleep(job["seconds"])
    result = done.close()
    stopped = True
    await settle(senders, [])
    say(result)
