"""A device that speaks the gateway's frames by hand, and a pair that chats while others misbehave."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from greenroom import Client
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.transport.envelope.codec import Request, Response, codec

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from greenroom.tests.kit.node_kit import NodeProcess

__all__ = ["ANSWER_LIMIT_S", "Device", "Pair", "dial_url", "text_message", "until"]

ANSWER_LIMIT_S = 8.0
PUSH, KICK = 2001, 2002


async def until(condition: Any, limit_s: float = ANSWER_LIMIT_S) -> None:
    """Wait for a condition that no event announces, such as the state of another process."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.005)


def dial_url(node: NodeProcess, user_id: str, token: str, *, platform_id: int = 5, **more: str) -> str:
    query = {
        "sendID": user_id, "token": token, "platformID": str(platform_id), "operationID": "op-dial",
        "isBackground": "false", **more,
    }  # fmt: skip
    return f"{node.ws_url}/?{urlencode(query)}"


def text_message(send_id: str, recv_id: str = "", *, group_id: str = "", **fields: Any) -> sdkws_pb2.MsgData:
    defaults = {"contentType": 101, "content": b'{"content":"hello"}', "sessionType": 3 if group_id else 1}
    return sdkws_pb2.MsgData(sendID=send_id, recvID=recv_id, groupID=group_id, **{**defaults, **fields})


class Device:
    """One connection. A task reads its frames: answers by their msgIncr, pushes in the order of arrival."""

    def __init__(self, socket: ClientConnection, user_id: str, sdk_type: Literal["go", "js"], gzip: bool) -> None:
        self.socket = socket
        self.user_id = user_id
        self.codec = codec(sdk_type, gzip)
        self.answers: dict[str, asyncio.Future[Response]] = {}
        self.pushes: list[tuple[str, sdkws_pb2.MsgData]] = []
        """(conversation id, message) of each push."""
        self.strays: list[Response] = []
        """Frames that are neither an answer nor a push of a message."""
        self.changed = asyncio.Event()
        self._count = 0
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls, node: NodeProcess, user_id: str, token: str, *, platform_id: int = 5,
        sdk_type: Literal["go", "js"] = "js", gzip: bool = False,
    ) -> Device:  # fmt: skip
        url = dial_url(
            node, user_id, token, platform_id=platform_id, sdkType=sdk_type, compression="gzip" if gzip else ""
        )
        socket = await connect(url, compression=None, ping_interval=None, proxy=None, max_size=None)
        return cls(socket, user_id, sdk_type, gzip)

    async def __aenter__(self) -> Device:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.socket.close()
        await self._reading

    async def _read(self) -> None:
        try:
            with contextlib.suppress(ConnectionClosed):
                while True:
                    frame = await self.socket.recv()
                    assert isinstance(frame, bytes)
                    self._take(self.codec.decode_response(frame))
        finally:
            for answer in self.answers.values():
                answer.cancel()
            self.changed.set()

    def _take(self, response: Response) -> None:
        answer = self.answers.get(response.msg_incr)
        if response.req_identifier == PUSH:
            push = sdkws_pb2.PushMessages.FromString(response.data or b"")
            for shelf in (push.msgs, push.notificationMsgs):
                for conversation_id, pulled in shelf.items():
                    self.pushes += [(conversation_id, message) for message in pulled.Msgs]
        elif answer is not None and not answer.done():
            answer.set_result(response)
        else:
            self.strays.append(response)
        self.changed.set()

    async def ask(self, req_identifier: int, data: bytes = b"", **more: str) -> asyncio.Future[Response]:
        """Write a request; its answer comes in the future, which is cancelled if the connection ends first."""
        self._count += 1
        incr = more.get("msg_incr", f"{self.user_id}_{self._count}")
        fields = {"send_id": self.user_id, "operation_id": f"op-{incr}", "msg_incr": incr, **more}
        answer = self.answers[incr] = asyncio.get_running_loop().create_future()
        frame = self.codec.encode_request(Request(req_identifier=req_identifier, data=data, **fields))
        await self.socket.send(frame)
        return answer

    async def answer(self, req_identifier: int, data: bytes = b"", **more: str) -> Response:
        async with asyncio.timeout(ANSWER_LIMIT_S):
            return await (await self.ask(req_identifier, data, **more))

    async def send(self, message: sdkws_pb2.MsgData) -> Response:
        return await self.answer(1003, message.SerializeToString())

    async def sent(self, message: sdkws_pb2.MsgData) -> msg_pb2.SendMsgResp:
        """Send the message, and expect an ack."""
        response = await self.send(message)
        assert response.err_code == 0, response.err_msg
        return msg_pb2.SendMsgResp.FromString(response.data or b"")

    async def newest(self) -> dict[str, int]:
        request = sdkws_pb2.GetMaxSeqReq(userID=self.user_id)
        response = await self.answer(1001, request.SerializeToString())
        return dict(sdkws_pb2.GetMaxSeqResp.FromString(response.data or b"").maxSeqs)

    async def pull(self, conversation_id: str, begin: int, end: int) -> list[sdkws_pb2.MsgData]:
        span = sdkws_pb2.SeqRange(conversationID=conversation_id, begin=begin, end=end, num=10_000)
        request = sdkws_pb2.PullMessageBySeqsReq(userID=self.user_id, seqRanges=[span])
        response = await self.answer(1002, request.SerializeToString())
        assert response.err_code == 0
        answer = sdkws_pb2.PullMessageBySeqsResp.FromString(response.data or b"")
        return list(answer.msgs[conversation_id].Msgs) if conversation_id in answer.msgs else []

    def pushed(self, conversation_id: str) -> list[sdkws_pb2.MsgData]:
        return [message for name, message in self.pushes if name == conversation_id]

    def seqs(self, conversation_id: str) -> list[int]:
        return [message.seq for message in self.pushed(conversation_id)]

    async def wait_for(self, conversation_id: str, seq: int) -> None:
        """Wait until the push of this seq, or of a later one, has arrived."""
        async with asyncio.timeout(ANSWER_LIMIT_S):
            while max(self.seqs(conversation_id), default=0) < seq:
                self.changed.clear()
                await self.changed.wait()

    async def closed(self) -> int:
        """Wait for the server's end; the close code that this side saw."""
        async with asyncio.timeout(ANSWER_LIMIT_S):
            await self._reading
        return self.socket.close_code or 0

    def abort(self) -> None:
        """Cut the connection, as a network failure does."""
        self.socket.transport.abort()


class Pair:
    """Two bystanders. `chatting()` lets them talk before, during and after what its block does."""

    def __init__(self, node: NodeProcess, tokens: dict[str, str], names: tuple[str, str], *, body: str) -> None:
        first, second = names
        self.body = body
        self.count = 0
        self.clients = [
            Client(ws_url=node.ws_url, user_id=first, token=tokens[first], encoding="js", compression=False),
            Client(ws_url=node.ws_url, user_id=second, token=tokens[second], encoding="go", compression=True),
        ]
        self._inboxes = [client.messages() for client in self.clients]

    async def __aenter__(self) -> Pair:
        await asyncio.gather(*(client.start() for client in self.clients))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await asyncio.gather(*(client.close() for client in self.clients))

    async def talk(self) -> None:
        """Send one message each way; both are acked and received."""
        for sender, receiver, inbox in zip(self.clients, self.clients[::-1], self._inboxes[::-1], strict=True):
            self.count += 1
            text = f"{self.body} {self.count}"
            sent = await sender.send(recv_id=receiver.user_id, text=text, timeout_s=ANSWER_LIMIT_S)
            async with asyncio.timeout(ANSWER_LIMIT_S):
                received = await anext(inbox)
            assert (received.text, received.client_msg_id) == (text, sent.client_msg_id)

    @contextlib.asynccontextmanager
    async def chatting(self) -> AsyncIterator[Pair]:
        await self.talk()
        before = self.count
        over = asyncio.Event()

        async def talk_on() -> None:
            while not over.is_set():
                await self.talk()

        talking = asyncio.create_task(talk_on())
        try:
            yield self
        finally:
            over.set()
            await talking
        assert self.count > before, "nobody spoke meanwhile"
        await self.talk()
        assert [client.reconnects for client in self.clients] == [0, 0]
        assert [client.state for client in self.clients] == ["online", "online"]
