"""Users who keep sending while a node's disk fails: each send is answered, and the judge gets all events."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from functools import partial
from typing import TYPE_CHECKING

from websockets.exceptions import ConnectionClosed

from greenroom import Client
from greenroom.actors.wire import msg_pb2
from greenroom.tests.kit.wire_kit import Device, text_message, until
from greenroom.transport.load.judge.events import (
    DeviceDrained,
    DeviceStarted,
    Event,
    MemberJoined,
    MessageReceived,
    SendAcked,
    SendFailed,
    SendStarted,
    StoredSeen,
    StorePulled,
)
from greenroom.transport.load.judge.judging import judge

if TYPE_CHECKING:
    from greenroom.tests.kit.node_kit import NodeProcess
    from greenroom.transport.client.client_message import Received as Message
    from greenroom.transport.load.judge.verdict import Verdict

__all__ = ["FaultLoad"]

PULL = 20
"""Maximum number of messages in one pull."""


class FaultLoad:
    """Pairs in which one writes and the other reads, over sockets. The writers are devices without any retry: each
    request must be answered, with an ack or a refusal; a refused message is sent again half of the time, under the
    same id. `rate` is in messages per second of all pairs together. A hundred payloads must fit the answer to a
    pull, which has 768 KiB."""

    def __init__(
        self, node: NodeProcess, *, seed: str, pairs: int = 8, in_flight: int = 4, rate: float = 400,
        payload_bytes: int = 200,
    ) -> None:  # fmt: skip
        self.node = node
        self._content = b'{"content":"%b"}' % (b"x" * payload_bytes)
        self.events: list[Event] = []
        self.acks: list[tuple[int, int]] = []
        """(sent, acked) times of each ack."""
        self.refusals: list[tuple[int, int]] = []
        """(sent, refused) times of each refusal."""
        self.codes: set[int] = set()
        self._pairs = [(f"a{number}", f"b{number}") for number in range(pairs)]
        self._dice = random.Random(seed)
        self._pause_s = pairs * in_flight / rate
        self._in_flight = in_flight
        self._tokens: dict[str, str] = {}
        self._devices: dict[str, Device] = {}
        self._readers: dict[str, Client] = {}
        self._talks: list[asyncio.Task[None]] = []
        self._going = asyncio.Event()
        self._over = False
        self._since = 0
        self._fresh: set[str] = set()
        """Senders with an ack for a message that was sent after `_since`."""

    @property
    def slowest_s(self) -> float:
        return max(done - sent for sent, done in self.acks + self.refusals) / 1e9

    async def __aenter__(self) -> FaultLoad:
        self._tokens = await self.node.tokens(*(name for pair in self._pairs for name in pair))
        for writer, reader in self._pairs:
            for user in (writer, reader):
                self.events.append(MemberJoined(_chat(writer, reader), user, 0))
                self.events.append(DeviceStarted(time.monotonic_ns(), f"{user}/5", user, hears_itself=False))
            self._readers[reader] = Client(
                ws_url=self.node.ws_url, user_id=reader, token=self._tokens[reader], since="beginning",
                on_message=partial(self._received, reader), backoff_base_s=0.1,
            )  # fmt: skip
            await self._readers[reader].start()
        await self._connect()
        self.resume()
        self._talks = [
            asyncio.create_task(self._talk(writer, reader, f"{writer}-{number}", random.Random(self._dice.random())))
            for writer, reader in self._pairs
            for number in range(self._in_flight)
        ]
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self._over = True
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await asyncio.gather(*(reader.close() for reader in self._readers.values()))
        await self._disconnect()

    def resume(self) -> None:
        self._going.set()

    def pause(self) -> None:
        self._going.clear()

    async def goes_on(self) -> None:
        """Wait until each sender has an ack for a message that was sent after this call."""
        self._fresh.clear()
        self._since = time.monotonic_ns()
        await until(lambda: len(self._fresh) == len(self._talks) or self._broken(), 30)
        self.check()

    def check(self) -> None:
        """Fail if a send was not answered, or had an error that no client should get."""
        for talk in self._talks:
            if talk.done():
                talk.result()

    async def kill_node(self) -> None:
        """SIGKILL, and start it again. The writers reconnect, and their pending sends are repeated."""
        self.node.kill()
        await self._disconnect()
        await self.node.start()
        await self._connect()

    async def verdict(self) -> Verdict:
        """End the load, wait until the readers have all messages, pull the stored messages, and judge."""
        self._over = True
        self.resume()
        await asyncio.gather(*self._talks)
        for writer, reader in self._pairs:
            chat = _chat(writer, reader)
            device = self._devices[writer]
            newest = (await device.newest())[chat]
            seqs = self._readers[reader].seqs
            await until(lambda seqs=seqs, chat=chat, newest=newest: seqs.get(chat, 0) >= newest)
            self.events.append(DeviceDrained(time.monotonic_ns(), f"{reader}/5"))
            for begin in range(1, newest + 1, PULL):
                for one in await device.pull(chat, begin, min(begin + PULL - 1, newest)):
                    if one.status < 4:
                        ids = one.clientMsgID, one.serverMsgID, one.sendID
                        self.events.append(StoredSeen(chat, one.seq, *ids, one.sendTime))
            self.events.append(StorePulled(chat))
        return await asyncio.to_thread(judge, self.events)

    async def _connect(self) -> None:
        for writer, _ in self._pairs:
            self._devices[writer] = await Device.open(self.node, writer, self._tokens[writer])

    async def _disconnect(self) -> None:
        devices, self._devices = self._devices, {}
        await asyncio.gather(*(device.__aexit__() for device in devices.values()))

    def _broken(self) -> bool:
        return any(talk.done() for talk in self._talks)

    def _received(self, reader: str, message: Message) -> None:
        ids = message.client_msg_id, message.server_msg_id, message.send_id
        where = message.conversation_id, message.seq
        self.events.append(
            MessageReceived(time.monotonic_ns(), f"{reader}/5", *where, *ids, message.raw.sendTime, pulled=False)
        )

    async def _talk(self, writer: str, reader: str, name: str, dice: random.Random) -> None:
        number = 0
        client_msg_id = ""
        while not self._over:
            await self._going.wait()
            await asyncio.sleep(dice.uniform(0, 2 * self._pause_s))
            if not client_msg_id:
                number += 1
                client_msg_id = f"{name}-{number}"
            if await self._send(writer, reader, client_msg_id, name) or dice.random() < 0.5:
                client_msg_id = ""

    async def _send(self, writer: str, reader: str, client_msg_id: str, name: str) -> bool:
        """Whether the message was acked."""
        device = self._devices.get(writer)
        if device is None:  # The node is down.
            return False
        chat, began = _chat(writer, reader), time.monotonic_ns()
        key = f"{writer}/5", chat, client_msg_id
        self.events.append(SendStarted(began, *key, stored=True))
        message = text_message(writer, reader, clientMsgID=client_msg_id, content=self._content)
        response = None
        with contextlib.suppress(ConnectionClosed, asyncio.CancelledError):
            # No answer: the TimeoutError fails the test.
            response = await device.send(message)
        now = time.monotonic_ns()
        if response is None or response.err_code:
            code = response.err_code if response is not None else 0
            self.events.append(SendFailed(now, *key, code))
            if response is not None:
                self.codes.add(code)
                self.refusals.append((began, now))
            return False
        answer = msg_pb2.SendMsgResp.FromString(response.data or b"")
        self.events.append(SendAcked(now, *key, answer.serverMsgID, answer.sendTime))
        self.acks.append((began, now))
        if began >= self._since:
            self._fresh.add(name)
        return True


def _chat(writer: str, reader: str) -> str:
    return f"si_{writer}_{reader}"
