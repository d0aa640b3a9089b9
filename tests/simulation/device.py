"""A simulated device: it logs in, sends and sends again, pulls what it missed, marks as read, and is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenroom.actors.errors import GreenroomError
from greenroom.actors.messages import (
    Caller,
    Command,
    IssueToken,
    MarkConversationRead,
    MarkMessagesRead,
    SetReadSeq,
    SetUserInfo,
)
from greenroom.actors.rules.ids import address_of_chat, user_address
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.tests.simulation.device_socket import DeviceSocket, Gone
from greenroom.transport.client.pull import pull_request
from greenroom.transport.client.timeline import Timelines
from greenroom.transport.envelope.codec import Request, Response, codec
from greenroom.transport.load.judge import events

if TYPE_CHECKING:
    from greenroom.tests.simulation.world import World

__all__ = ["Device", "Outgoing"]

PATIENCE_S = 60.0
"""The limit for an answer on a live connection: longer than any fault."""
HEARTBEAT_S = 20.0
"""The ping interval: below the read timeout of the gateway."""
FINAL = (1001, 1002, 1004, 1101, 1201, 1204)
"""Codes of final refusals."""
UNSTORED = {"history": False, "persistent": False, "unreadCount": False}


@dataclass
class Outgoing:
    """A message without a final answer yet."""

    conversation_id: str
    client_msg_id: str
    data: bytes
    stored: bool
    under_way: int = 0


class Device:
    """`live` until the world heals; then `settle`."""

    def __init__(self, world: World, user_id: str, platform_id: int) -> None:
        self.world = world
        self.user_id = user_id
        self.platform_id = platform_id
        self.name = f"{user_id}/{platform_id}#0"
        self.codec = codec(world.random.choice(("go", "js")), False)
        self.timelines = Timelines(from_beginning=True)
        self.pending: dict[str, Outgoing] = {}
        self.socket: DeviceSocket | None = None
        self._token = ""
        self._asked: dict[str, asyncio.Future[Response]] = {}
        self._count = 0
        self._pulling: asyncio.Task[None] | None = None
        self.last_seen: dict[str, int] = {}
        """Conversation -> the seq of the last accepted message."""
        self._pushed: dict[str, int] = {}
        """Conversation -> the last seq that was pushed on this connection."""
        world.record(events.DeviceStarted(world.tick(), self.name, user_id))

    @property
    def online(self) -> bool:
        return self.socket is not None

    async def answered(self) -> None:
        """Wait until all its requests are answered, or its connection has ended."""
        await asyncio.gather(*self._asked.values(), return_exceptions=True)

    @property
    def caller(self) -> Caller:
        return Caller(self.user_id, self.platform_id, "op")

    # The connection.

    async def connect(self) -> None:
        """Wait until it is online and has the newest seqs."""
        world = self.world
        while self.socket is None:
            try:
                await self._connect()
            except (Gone, ConnectionRefusedError, GreenroomError):
                await asyncio.sleep(world.random.uniform(0.05, 1.0))

    async def _connect(self) -> None:
        world = self.world
        if not self._token:
            login = IssueToken(caller=self.caller, platform_id=self.platform_id)
            self._token = (await world.ask(user_address(self.user_id), login)).token
        query = {
            "sendID": self.user_id, "token": self._token, "platformID": str(self.platform_id), "operationID": "op",
            "sdkType": self.codec.sdk_type, "isBackground": "false",
        }  # fmt: skip
        socket = DeviceSocket(world.loop, query, on_frame=self._take, on_lost=self._lost)
        await world.network.connect(world.loop, socket)
        try:
            await socket.opened
        except Gone:
            if any(b'"errCode":%d' % code in socket.refusal for code in (1503, 1504, 1505, 1506, 1507)):
                self._token = ""
            raise
        self.socket = socket
        self._beat(socket)
        self._pushed = {}
        world.note(self.name, "online")
        request = sdkws_pb2.GetMaxSeqReq(userID=self.user_id)
        response = await self.request(1001, request.SerializeToString())
        if response.err_code:
            socket.link.abort()
            raise Gone
        newest = sdkws_pb2.GetMaxSeqResp.FromString(response.data or b"").maxSeqs
        self.timelines.learn(dict(sorted(newest.items())))
        self._pull_soon()

    def _beat(self, socket: DeviceSocket) -> None:
        if socket is self.socket:
            socket.ping()
            self.world.loop.call_later(HEARTBEAT_S, self._beat, socket)

    def drop(self, *, login: bool = False) -> None:
        """The device loses its network. It may log in again, which kicks the connection that the server still has."""
        if login:
            self._token = ""
        if self.socket is not None:
            self.socket.link.abort()

    def _lost(self, socket: DeviceSocket) -> None:
        if socket is self.socket:
            self.socket = None
            self.world.note(self.name, "offline")
            asked, self._asked = self._asked, {}
            for answer in asked.values():
                if not answer.done():
                    answer.set_exception(Gone())
                    answer.exception()

    async def request(self, identifier: int, data: bytes) -> Response:
        """Raises Gone if the connection ends first."""
        socket = self.socket
        if socket is None:
            raise Gone
        self._count += 1
        incr = str(self._count)
        answer = self._asked[incr] = self.world.loop.create_future()
        frame = Request(
            req_identifier=identifier, send_id=self.user_id, operation_id="op", msg_incr=incr, data=data
        )
        socket.send(self.codec.encode_request(frame))
        patience = self.world.loop.call_later(PATIENCE_S, self._unanswered, answer, identifier)
        try:
            response: Response = await answer
        finally:
            patience.cancel()
        return response

    def _unanswered(self, answer: asyncio.Future[Response], identifier: int) -> None:
        if not answer.done():
            self.world.violation("never_answered", f"{self.name} asked {identifier}")
            self.drop()

    # Incoming frames.

    def _take(self, frame: bytes) -> None:
        response = self.codec.decode_response(frame)
        if response.req_identifier == 2001:
            push = sdkws_pb2.PushMessages.FromString(response.data or b"")
            for shelf in (push.msgs, push.notificationMsgs):
                for conversation_id, messages in sorted(shelf.items()):
                    for message in messages.Msgs:
                        self._pushed_one(conversation_id, message)
            self._pull_soon()
        elif response.req_identifier == 2002:
            self._token = ""
        else:
            answer = self._asked.pop(response.msg_incr, None)
            if answer is not None and not answer.done():
                answer.set_result(response)

    def _pushed_one(self, conversation_id: str, message: sdkws_pb2.MsgData) -> None:
        world, seq = self.world, message.seq
        if seq:
            where = f"{self.name} {conversation_id} {seq}"
            last = self._pushed.get(conversation_id, 0)
            if seq <= last:
                world.violation("pushed_again" if seq == last else "pushed_back", where)
            self._pushed[conversation_id] = max(seq, last)
            if not world.disk.holds(conversation_id, seq, message.clientMsgID):
                world.violation("pushed_before_commit", where)
        if self.timelines.offer(conversation_id, seq):
            self._accept(conversation_id, message, pulled=False)

    def _accept(self, conversation_id: str, message: sdkws_pb2.MsgData, *, pulled: bool) -> None:
        world = self.world
        foreign = message.contentType >= 1000
        if foreign and not message.seq:
            return
        self.last_seen[conversation_id] = message.seq or self.last_seen.get(conversation_id, 0)
        world.note(self.name, "got", conversation_id, message.seq, message.clientMsgID)
        world.record(
            events.MessageReceived(
                world.tick(), self.name, conversation_id, message.seq, message.clientMsgID, message.serverMsgID,
                message.sendID, message.sendTime, pulled, foreign,
            )
        )  # fmt: skip

    def _pull_soon(self) -> None:
        if self.timelines.behind and self._pulling is None:
            self._pulling = self.world.loop.create_task(self._pull())

    async def _pull(self) -> None:
        try:
            while self.timelines.behind and self.online:
                spans = list(self.timelines.missing(page=self.world.page, conversations=4))
                try:
                    response = await self.request(1002, pull_request(self.user_id, spans, 1000))
                except Gone:
                    return
                if response.err_code:
                    await asyncio.sleep(0.2)
                    continue
                answer = sdkws_pb2.PullMessageBySeqsResp.FromString(response.data or b"")
                for name, message in self.timelines.accept_pulled(spans, answer):
                    self._accept(name, message, pulled=True)
        finally:
            self._pulling = None

    # Actions.

    def say(self, conversation_id: str, *, recv_id: str = "", group_id: str = "", stored: bool = True) -> str:
        """Make a new message, and send it until it has a final answer. Returns its clientMsgID."""
        client_msg_id = self.world.new_id()
        message = sdkws_pb2.MsgData(
            sendID=self.user_id, recvID=recv_id, groupID=group_id, clientMsgID=client_msg_id, contentType=101,
            content=b'{"content":"hello"}', sessionType=3 if group_id else 1, senderPlatformID=self.platform_id,
            options=None if stored else UNSTORED,
        )  # fmt: skip
        one = Outgoing(conversation_id, client_msg_id, message.SerializeToString(), stored)
        self.pending[client_msg_id] = one
        self.send(one)
        return client_msg_id

    def send(self, one: Outgoing) -> None:
        one.under_way += 1
        self.world.loop.create_task(self._send(one))

    async def _send(self, one: Outgoing) -> None:
        world = self.world
        where = self.name, one.conversation_id, one.client_msg_id
        world.record(events.SendStarted(world.tick(), *where, one.stored))
        try:
            response = await self.request(1003, one.data)
        except Gone:
            world.record(events.SendFailed(world.tick(), *where, 0))
            if not one.stored:
                self.pending.pop(one.client_msg_id, None)
            return
        finally:
            one.under_way -= 1
        if response.err_code:
            world.note(self.name, "refused", one.client_msg_id, response.err_code)
            world.record(events.SendFailed(world.tick(), *where, response.err_code))
            if response.err_code in FINAL or not one.stored:
                self.pending.pop(one.client_msg_id, None)
            return
        self.pending.pop(one.client_msg_id, None)
        answer = msg_pb2.SendMsgResp.FromString(response.data or b"")
        world.note(self.name, "acked", one.client_msg_id)
        world.record(events.SendAcked(world.tick(), *where, answer.serverMsgID, answer.sendTime))
        if one.stored and not world.disk.holds_answer(answer.serverMsgID):
            world.violation("acked_before_commit", f"{self.name} {one.conversation_id} {one.client_msg_id}")

    def send_again(self) -> None:
        """Repeat messages that were refused for the moment or lost their connection; at times a pending one, too."""
        for one in list(self.pending.values()):
            if not one.under_way or (one.stored and self.world.random.random() < 0.05):
                self.send(one)

    async def mark(self, conversation_id: str) -> None:
        """Mark as read up to the last received message, or up to an earlier one."""
        world, seq = self.world, self.last_seen.get(conversation_id, 0)
        if not seq:
            return
        if world.random.random() < 0.5:
            seq = world.random.randint(1, seq)
        common: dict[str, Any] = {
            "caller": self.caller, "conversation_id": conversation_id, "user_id": self.user_id, "has_read_seq": seq
        }  # fmt: skip
        command: Command = SetReadSeq(**common)
        if world.random.random() < 0.5:
            command = MarkConversationRead(**common, seqs=[])
            if conversation_id.startswith("sg_") and world.random.random() < 0.5:
                del common["has_read_seq"]
                command = MarkMessagesRead(**common, seqs=[seq])  # In a group only these notifications are stored.
        asked, agreed = world.tick(), 0
        with contextlib.suppress(Gone, GreenroomError):
            await world.ask(address_of_chat(conversation_id), command)
            agreed = world.tick()
        world.record(events.MarkedRead(asked, self.user_id, conversation_id, seq, agreed))

    async def rename(self) -> None:
        """Change the user's info, which notifies all their groups."""
        changes: dict[str, str | int] = {"nickname": self.world.new_id()}
        with contextlib.suppress(Gone, GreenroomError):
            await self.world.ask(user_address(self.user_id), SetUserInfo(caller=self.caller, changes=changes))

    async def ask_seqs(self) -> None:
        """Request 1006, for all conversations."""
        world, asked = self.world, self.world.tick()
        request = msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID=self.user_id)
        try:
            response = await self.request(1006, request.SerializeToString())
        except Gone:
            return
        if response.err_code == 0:
            reply = msg_pb2.GetConversationsHasReadAndMaxSeqResp.FromString(response.data or b"")
            answered = world.tick()
            for name, state in sorted(reply.seqs.items()):
                world.record(
                    events.SeqsAnswered(asked, self.user_id, name, state.maxSeq, state.hasReadSeq, answered)
                )

    async def settle(self) -> None:
        """Wait until all messages have a final answer, and no message is known to be missing."""
        pause_s = 0.2
        while self.pending or self.timelines.behind or not self.online:
            await self.connect()
            self.send_again()
            self._pull_soon()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 5.0)
