"""A client's connection: its handshake, its session, its requests and its pushes. It contains no chat rules."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.actors.errors import (
    ConnectionsFull,
    GreenroomError,
    StoreFailed,
    TokenInvalid,
    TokenKicked,
    TokenNotExist,
    TokenUnknown,
    TooManyRequests,
    as_refusal,
)
from greenroom.actors.messages import Caller, CloseSession, KickSession, OpenSession, SendMessage
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.wire.vocabulary import Platform, RequestId
from greenroom.transport.envelope.codec import codec
from greenroom.transport.envelope.request_response import Response
from greenroom.transport.envelope.websocket_frame import binary_frame, text_frame
from greenroom.transport.gateway.handshake import (
    ACCEPTED,
    BAD_REQUEST,
    parse_parameters,
    refusal_json,
    refusal_response,
    too_many_response,
)
from greenroom.transport.gateway.request_stream import RequestStream
from greenroom.transport.gateway.websocket import Phase

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Sequence

    from google.protobuf.message import Message

    from greenroom.actors.queries.pulls import Queries
    from greenroom.actors.runtime.replies import Answer, Failed, Piped
    from greenroom.actors.wire import sdkws_pb2
    from greenroom.transport.client_address import ClientAddress
    from greenroom.transport.envelope.request_response import Request
    from greenroom.transport.gateway.gateway import Gateway
    from greenroom.transport.gateway.requests import RequestKind
    from greenroom.transport.gateway.upgrade import UpgradeRequest

__all__ = ["Connection", "ConnectionActor"]

log = logging.getLogger("greenroom.transport")

CRASHES_ALLOWED = 5
"""Number of entity crashes that one connection's requests may cause before it is closed."""

_TOKEN_ERRORS = (TokenKicked, TokenNotExist, TokenUnknown)
OPENING = 0
"""The `ref` of the connection's OpenSession. The refs of its requests begin at 1."""


class _TextMessage(msgspec.Struct):
    """The content of a TEXT frame."""

    type: str
    body: msgspec.Raw = msgspec.Raw(b"null")


class ConnectionActor(Entity):
    """The actor at a connection's address. It passes its messages to the connection. Its crash drops the socket."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def receiveMsg_Answer(self, message: Answer, sender: Address) -> None:
        self.connection.on_success(message.ref, message.value)

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        self.connection.on_failure(message.ref, message.error)

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        if message.error is None:
            self.connection.on_success(message.tag, message.value)
        else:
            self.connection.on_failure(message.tag, message.error)

    def receiveMsg_KickSession(self, message: KickSession, sender: Address) -> None:
        self.connection.kick()

    def on_stop(self) -> None:
        self.connection.stop()

    def on_crash(self, error: BaseException) -> None:
        self.connection.abort()


class Connection(RequestStream):
    """One device of one user: a `Session` for the engine, a `Requester` for the handlers of requests.

    Pushes are written in the order of the calls. If the outbox is full, the connection is closed, and the client later
    pulls the messages that it missed. Whatever a client sends, it can end no connection but its own.
    """

    __slots__ = ("_upgrade", "crashes", "digest", "is_background", "is_limited", "platform_id", "token", "watched")

    watched: set[str] | None

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        # While the session is opening: the 101, whether a text frame with the outcome follows it, and the client.
        self._upgrade: tuple[bytes, bool, ClientAddress] | None = None
        self.token = ""
        self.digest = b""
        self.crashes = 0
        self.platform_id = 0
        self.is_background = False
        self.is_limited = True
        self.watched = None

    @property
    def queries(self) -> Queries:
        """See `Requester`."""
        return self._gateway.queries

    # The handshake.

    def on_request(self, request: UpgradeRequest) -> None:
        gateway = self._gateway
        gateway.heard(self)
        if not gateway.admission.may_open(len(gateway.sessions)):
            self._refuse(ConnectionsFull(), request)
            return
        client = self._client(request)
        try:
            parameters = parse_parameters(request.target, request.first(b"compression"))
        except GreenroomError as error:
            self._refuse(self._counted(error, client), request)
            return
        upgrade = request.accept()
        try:
            claims = gateway.authenticator.parse(parameters.token)
            if claims.user_id != parameters.user_id or claims.platform_id != parameters.platform_id:
                raise TokenInvalid
        except GreenroomError as error:
            refusal = self._counted(error, client)
            if upgrade is None:
                self._refuse(refusal, request)
            else:
                self._refuse_token(refusal, upgrade if parameters.is_msg_resp else None)
            return
        if upgrade is None:
            self.refuse(request.trim(BAD_REQUEST))
            return
        self._upgrade = (upgrade, parameters.is_msg_resp, client)
        self.is_limited = not (parameters.user_id in gateway.admin_user_ids or gateway.limits.exempts(client))
        self.user_id = parameters.user_id
        self.platform_id = parameters.platform_id
        self.is_background = parameters.is_background
        self.token = parameters.token
        self.digest = claims.digest
        self.codec = codec("js" if parameters.sdk_type == "js" else "go", parameters.compression == "gzip")
        self.address = Address("connection", str(gateway.base.next_number()))
        gateway.base.spawn(self.address, lambda: ConnectionActor(self))
        gateway.sessions.add(self)
        self._send(
            Address("user", self.user_id),
            OpenSession(
                caller=self._caller(parameters.operation_id),
                ref=OPENING,
                digest=claims.digest,
                connection=self.address,
            ),
        )

    def on_malformed(self) -> None:
        """Count it as a connect without a valid token. It names no client, so it counts for the socket's other end."""
        self._gateway.heard(self)
        limits = self._gateway.limits
        try:
            limits.check_anonymous(limits.client(self._peer()))
        except TooManyRequests as error:
            self.refuse(too_many_response(error))
        else:
            super().on_malformed()

    def _on_opened(self) -> None:
        if self._upgrade is not None:
            (head, is_msg_resp, _), self._upgrade = self._upgrade, None
            # Only browsers need the server's pings: they cannot ping by themselves.
            self.open(head + text_frame(ACCEPTED) if is_msg_resp else head, ping=self.platform_id == Platform.WEB)

    def _on_open_refused(self, error: GreenroomError) -> None:
        if self._upgrade is not None:
            (head, is_msg_resp, client), self._upgrade = self._upgrade, None
            if isinstance(error, _TOKEN_ERRORS):
                error = self._counted(error, client)
            self._refuse_token(error, head if is_msg_resp else None)

    def _peer(self) -> object:
        return None if self._transport is None else self._transport.get_extra_info("peername")

    def _client(self, request: UpgradeRequest) -> ClientAddress:
        forwarded_for, real_ip = request.joined(b"x-forwarded-for"), request.first(b"x-real-ip")
        return self._gateway.limits.client(self._peer(), forwarded_for, real_ip)

    def _counted(self, error: GreenroomError, client: ClientAddress) -> GreenroomError:
        """Count a connect without a valid token. Returns its refusal: `error`, unless there were too many."""
        try:
            self._gateway.limits.check_anonymous(client)
        except TooManyRequests as too_many:
            return too_many
        return error

    def _refuse(self, error: GreenroomError, request: UpgradeRequest) -> None:
        self._log_refusal(error)
        self.refuse(request.trim(refusal_response(error)))

    def _refuse_token(self, error: GreenroomError, upgrade: bytes | None) -> None:
        self._log_refusal(error)
        self.refuse(refusal_response(error) if upgrade is None else upgrade + text_frame(refusal_json(error)))

    @staticmethod
    def _log_refusal(error: GreenroomError) -> None:
        log.debug("refused a connect: %d %s", error.code, type(error).__name__)

    # Frames from the client.

    def on_text(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text, type=_TextMessage)
        except (msgspec.DecodeError, RecursionError):
            self.drain()
            return
        if message.type not in ("ping", "pong"):
            self.drain()
        elif self.allows_control() and message.type == "ping":
            self.outbox.add(text_frame(b'{"type":"pong","body":%b}' % bytes(message.body)))

    def handle(self, request: Request, kind: RequestKind) -> None:
        kind.run(self, request)

    def drain(self) -> None:
        self._gateway.sessions.hand_over()
        super().drain()

    # Called by the handlers of requests: see `Requester`.

    def query(
        self, request: Request, query: Callable[[Caller, Any], Awaitable[bytes]], payload: Message
    ) -> None:
        ref = self.track(request, alone=True)
        reading = query(self._caller(request.operation_id), payload)
        self._gateway.base.pipe(self.address, reading, tag=ref)

    def send_message(self, request: Request, message: sdkws_pb2.MsgData) -> None:
        try:
            if self.is_limited:
                self._gateway.limits.check_send(self.user_id, len(request.data or b""))
            target = self._gateway.address_of(message)
        except GreenroomError as error:
            self.reply_error(request, error)
            return
        ref = self.track(request)
        self._send(target, SendMessage(caller=self._caller(request.operation_id), ref=ref, message=message))

    def set_background(self, is_background: bool) -> None:
        self.is_background = is_background
        self._gateway.sessions.forget_reaches()

    def watch(self, subscribe: Sequence[str], unsubscribe: Sequence[str]) -> bytes:
        return self._gateway.sessions.watch(self, subscribe, unsubscribe)

    def _caller(self, operation_id: str) -> Caller:
        user_id = self.user_id
        return Caller(user_id, self.platform_id, operation_id, user_id in self._gateway.admin_user_ids)

    def _send(self, target: Address, message: Any) -> None:
        self._gateway.base.send(self.address, target, message)

    # Called by the actor.

    def on_success(self, ref: int, value: Any) -> None:
        """A request, or the opening of the session, succeeded. `value` is None, bytes, or a message to serialize."""
        if ref == OPENING:
            self._on_opened()
        else:
            self.answer(ref, value if value is None or isinstance(value, bytes) else value.SerializeToString())

    def on_failure(self, ref: int, error: BaseException) -> None:
        """A request, or the opening of the session, failed."""
        if not isinstance(error, GreenroomError):
            times = self.server.sampler.take(("a request failed", type(error)))
            if times:
                log.error("a request of %s failed with %s (%d failed)", self.address, type(error).__name__, times)
            error = as_refusal(error)
        request = self._in_flight.get(ref)
        is_send = request is not None and request.req_identifier == RequestId.SEND_MESSAGE
        if is_send and self.is_limited and isinstance(error, StoreFailed):
            self._gateway.limits.return_send(self.user_id)
        if ref == OPENING:
            self._on_open_refused(error)
        else:
            self.answer(ref, None, error)

    def kick(self) -> None:
        """Push the kick (request id 2002), then close."""
        self._gateway.sessions.hand_over()
        if self.phase is Phase.OPEN or self.phase is Phase.DRAINING:
            self.outbox.add(binary_frame(self.codec.encode_response(Response(req_identifier=RequestId.KICK))))
            self.close()
        else:
            self.abort()

    def stop(self) -> None:
        """Write out the outbox, then close. Abort, if the session is still opening."""
        self._gateway.sessions.hand_over()
        if self.phase is Phase.OPENING:
            self.abort()
        else:
            self.close()

    # Called by the session table: see `Session`.

    def charge(self) -> None:
        self.crashes += 1
        if self.crashes > CRASHES_ALLOWED:
            times = self._gateway.base.sampler.take("connection closed for its crashes")
            if times:
                log.warning("%s crashed %d entities and is closed (%d closed)", self.address, self.crashes, times)
            self.drain()

    def push(self, frame: bytes) -> None:
        phase = self.phase
        if phase is Phase.OPEN or phase is Phase.OPENING:
            settings = self.server.settings
            if not self.outbox.offer(frame, settings.outbox_limit_frames, settings.outbox_limit_bytes):
                log.debug("%s does not read its pushes and is closed", self.address)
                if phase is Phase.OPEN:
                    self.drain()
                else:
                    self.abort()

    def push_all(self, frames: list[bytes], data: bytes) -> None:
        if self.phase is not Phase.OPEN or not self.outbox.write_through(data):
            for frame in frames:
                self.push(frame)

    # Called by asyncio.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if not self._gateway.add(self, transport):
            self.abort()

    def on_lost(self) -> None:
        super().on_lost()
        gateway = self._gateway
        self._upgrade = None
        self.token = ""
        if self.user_id:
            gateway.sessions.remove(self)
            self._send(Address("user", self.user_id), CloseSession(self.address))
            gateway.base.kill(self.address)
        gateway.remove(self)
