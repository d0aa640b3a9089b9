"""Messages that their receivers mark as read over HTTP. A message is done when its sender has the receipt."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from greenroom.tests.bench.lean_client import LeanClient, connect, messages_of
from greenroom.tests.bench.window import Window, say, settle

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["receipts"]

_RECEIPT = b'"data":"E'
"""The second field of PushMessages, in base64: a push of notifications."""


class _Reader(asyncio.Protocol):
    """Marks one seq after the other, in order, over one connection."""

    def __init__(self, user_id: str, token: str, conversation_id: str) -> None:
        self._fixed = {"userID": user_id, "conversationID": conversation_id}
        self._token = token
        self._due: deque[int] = deque()
        self._buffer = b""
        self._busy = False
        self.answers = self.pushes = self.sent = 0
        self.failed = ""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def mark(self, seq: int) -> None:
        self.sent += 1
        self._due.append(seq)
        if not self._busy:
            self._next()

    def _next(self) -> None:
        self._busy = bool(self._due)
        if self._due:
            text = json.dumps({**self._fixed, "seqs": [self._due.popleft()]})
            self._transport.write(
                f"POST /msg/mark_msgs_as_read HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                f"operationID: bench-read\r\ntoken: {self._token}\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode()
            )

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().partition(b"content-length:")[2].split(b"\r")[0]):
            return
        if b'"errCode":0' not in body:
            self.failed = body.decode(errors="replace")
        self._buffer = b""
        self.answers += 1
        self._next()


async def receipts(job: dict[str, Any]) -> None:
    """`window` messages of each pair are in flight, from the send to the receipt's arrival at the sender."""
    users = job["users"]
    loop = asyncio.get_running_loop()
    senders: list[LeanClient] = []
    readers: list[Any] = []
    done = [0]
    stopped = False

    def take_at_sender(client: LeanClient, make: Callable[[], bytes], payload: bytes) -> None:
        if _RECEIPT in payload:
            done[0] += 1
            if not stopped:
                client.sent += 1
                client.transport.write(make())

    def take_at_receiver(reader: _Reader, payload: bytes) -> None:
        if _RECEIPT not in payload:
            reader.mark(reader.sent + 1)

    for n in range(0, len(users), 2):
        (sender_id, sender_token), (reader_id, reader_token) = users[n], users[n + 1]
        sender = await connect(job["port"], sender_id, sender_token)
        receiver = await connect(job["port"], reader_id, reader_token)
        made = partial(_Reader, reader_id, reader_token, "si_" + "_".join(sorted((sender_id, reader_id))))
        _, reader = await loop.create_connection(made, "127.0.0.1", job["api_port"])
        sender.on_push = partial(take_at_sender, sender, messages_of(sender_id, to=reader_id))
        receiver.on_push = partial(take_at_receiver, reader)
        senders.append(sender)
        readers.append(reader)
        sender.sent = job["window"]
        first = messages_of(sender_id, to=reader_id)
        sender.transport.write(b"".join([first() for _ in range(job["window"])]))
    await asyncio.sleep(job["warm_s"])
    window, before = Window(job["pid"], senders, readers), done[0]
    await asyncio.sleep(job["seconds"])
    result = window.close()
    result["receipts"] = done[0] - before
    stopped = True
    await settle(senders, [])
    await settle(readers, [])
    # A push of each message, and one of its receipt.
    await settle([], [([each], 2 * each.sent) for each in senders])
    assert not any(each.failed for each in readers), [each.failed for each in readers]
    assert sum(each.sent for each in readers) == sum(each.sent for each in senders) == done[0]
    say(result)
