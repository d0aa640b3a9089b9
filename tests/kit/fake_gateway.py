"""A gateway in memory that misbehaves on demand: what the client's tests talk to. No checks, no storage."""

from __future__ import annotations

import http
import json
from typing import TYPE_CHECKING, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response as HttpResponse

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.transport.client.client_message import direct_conversation_id, group_conversation_id
from greenroom.transport.envelope.codec import Codec, Request, Response, codec

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from types import TracebackType


__all__ = ["FakeGateway", "conversation_of"]


class FakeGateway:
    """Keeps conversations by id, each as a list of MsgData in seq order. Pushes to all connected users."""

    def __init__(self) -> None:
        self.conversations: dict[str, list[sdkws_pb2.MsgData]] = {}
        self.by_client_msg_id: dict[str, sdkws_pb2.MsgData] = {}
        self.sessions: dict[ServerConnection, tuple[str, Codec]] = {}
        self.requests: list[tuple[str, int]] = []
        """(user, request id) of each request."""
        self.pulled_ranges: list[tuple[str, int, int]] = []
        self.refuse: tuple[int, str] | None = None
        """Refuse every handshake with this error."""
        self.refuse_sends: list[tuple[int, str]] = []
        """Refuse the next sends with these errors, one each."""
        self.refuse_pulls: list[tuple[int, str]] = []
        """Refuse the next pulls with these errors, one each."""
        self.mute = False
        """Answer no request."""
        self.lose_acks = 0
        """Number of sends that are stored, but cut the connection instead of being acked."""
        self.lose_push: Callable[[sdkws_pb2.MsgData], bool] = lambda message: False
        self.dials = 0
        self.port = 0
        self.accepts_bytes: int | None = 1 << 20
        """A larger frame closes its connection with 1009."""
        self.tls: ssl.SSLContext | None = None
        """Listen with TLS, for the name localhost."""
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._server = await serve(
            self._talk,
            "localhost" if self.tls else "127.0.0.1",
            self.port,
            ssl=self.tls,
            max_size=self.accepts_bytes,
            process_request=self._answer_dial,
            compression=None,
            ping_interval=None,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]

    async def stop(self) -> None:
        """Cut every connection and stop listening."""
        self.cut()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """End all connections without a close frame."""
        for connection in tuple(self.sessions):
            connection.transport.abort()

    async def kick(self, user_id: str) -> None:
        for connection, (user, kind) in tuple(self.sessions.items()):
            if user == user_id:
                await connection.send(kind.encode_response(Response(req_identifier=2002)))
                connection.transport.close()

    def store(self, conversation_id: str, send_id: str, text: str, **fields: object) -> sdkws_pb2.MsgData:
        """Add a message without pushing it."""
        shelf = self.conversations.setdefault(conversation_id, [])
        message = sdkws_pb2.MsgData(
            sendID=send_id,
            clientMsgID=f"{conversation_id}-{len(shelf) + 1}",
            contentType=101,
            content=json.dumps({"content": text}).encode(),
            seq=len(shelf) + 1,
            status=2,
            **fields,  # type: ignore[arg-type]
        )
        shelf.append(message)
        return message

    async def push(self, conversation_id: str, message: sdkws_pb2.MsgData) -> None:
        """Push a message to all connected users."""
        push = sdkws_pb2.PushMessages()
        shelf = push.notificationMsgs if conversation_id.startswith("n_") else push.msgs
        shelf[conversation_id].Msgs.append(message)
        await self.push_all(push)

    async def push_all(self, push: sdkws_pb2.PushMessages) -> None:
        """Push several messages at once to all connected users."""
        data = push.SerializeToString()
        for connection, (_, kind) in tuple(self.sessions.items()):
            try:
                await connection.send(
                    kind.encode_response(Response(req_identifier=2001, operation_id="o", data=data))
                )
            except ConnectionClosed:
                continue

    def _answer_dial(self, connection: ServerConnection, request: HttpRequest) -> HttpResponse | None:
        self.dials += 1
        if self.refuse is None:
            return None
        code, name = self.refuse
        body = json.dumps({"errCode": code, "errMsg": name, "errDlt": ""}).encode()
        headers = Headers(
            {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))}
        )
        return HttpResponse(http.HTTPStatus.OK, "OK", headers, body)

    async def _talk(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        query = {
            name: values[0] for name, values in parse_qs(urlsplit(connection.request.path).query).items()
        }
        assert query["operationID"]
        assert query["isBackground"] == "false"
        kind = codec("js" if query["sdkType"] == "js" else "go", query.get("compression") == "gzip")
        self.sessions[connection] = (query["sendID"], kind)
        try:
            async for frame in connection:
                assert isinstance(frame, bytes)
                await self._answer(connection, kind, kind.decode_request(frame))
        except ConnectionClosed:
            pass
        finally:
            del self.sessions[connection]

    async def _answer(self, connection: ServerConnection, kind: Codec, request: Request) -> None:
        self.requests.append((request.send_id, request.req_identifier))
        if self.mute:
            return
        refusal: tuple[int, str] = (0, "")
        data = b""
        pushed: sdkws_pb2.MsgData | None = None
        match request.req_identifier:
            case 1001:
                newest = {name: len(shelf) for name, shelf in self.conversations.items() if shelf}
                data = sdkws_pb2.GetMaxSeqResp(maxSeqs=newest).SerializeToString()
            case 1002 if self.refuse_pulls:
                refusal = self.refuse_pulls.pop(0)
            case 1002:
                data = self._pull(sdkws_pb2.PullMessageBySeqsReq.FromString(request.data))
            case 1003 if self.refuse_sends:
                refusal = self.refuse_sends.pop(0)
            case 1003:
                message, pushed = self._take(sdkws_pb2.MsgData.FromString(request.data))
                if self.lose_acks:
                    self.lose_acks -= 1
                    connection.transport.abort()
                    return
                data = msg_pb2.SendMsgResp(
                    serverMsgID=message.serverMsgID,
                    clientMsgID=message.clientMsgID,
                    sendTime=message.sendTime,
                ).SerializeToString()
            case 1006:
                asked = msg_pb2.GetConversationsHasReadAndMaxSeqReq.FromString(request.data).conversationIDs
                states = msg_pb2.GetConversationsHasReadAndMaxSeqResp()
                for name in asked:
                    states.seqs[name].maxSeq = len(self.conversations.get(name, ()))
                data = states.SerializeToString()
        answer = Response(
            req_identifier=request.req_identifier,
            msg_incr=request.msg_incr,
            operation_id=request.operation_id,
            err_code=refusal[0],
            err_msg=refusal[1],
            data=data,
        )
        await connection.send(kind.encode_response(answer))
        if pushed is not None and not self.lose_push(pushed):
            await self.push(conversation_of(pushed), pushed)

    def _take(self, message: sdkws_pb2.MsgData) -> tuple[sdkws_pb2.MsgData, sdkws_pb2.MsgData | None]:
        known = self.by_client_msg_id.get(message.clientMsgID)
        if known is not None:
            return known, None
        shelf = self.conversations.setdefault(conversation_of(message), [])
        message.serverMsgID = f"server-{message.clientMsgID}"
        message.sendTime = 1_700_000_000_000 + len(shelf)
        message.status = 2
        if message.contentType != 113:
            message.seq = len(shelf) + 1
            shelf.append(message)
        self.by_client_msg_id[message.clientMsgID] = message
        return message, message

    def _pull(self, request: sdkws_pb2.PullMessageBySeqsReq) -> bytes:
        answer = sdkws_pb2.PullMessageBySeqsResp()
        for span in request.seqRanges:
            self.pulled_ranges.append((span.conversationID, span.begin, span.end))
            found = self.conversations.get(span.conversationID, [])[max(span.begin, 1) - 1 : span.end]
            if found:
                shelf = answer.notificationMsgs if span.conversationID.startswith("n_") else answer.msgs
                shelf[span.conversationID].Msgs.extend(found[-span.num :])
        return answer.SerializeToString()


def conversation_of(message: sdkws_pb2.MsgData) -> str:
    if message.groupID:
        return group_conversation_id(message.groupID)
    return direct_conversation_id(message.sendID, message.recvID)
