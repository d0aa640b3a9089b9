"""A client's connection: the handshake, its requests one after another, replies and pushes. No chat rule."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.actors.errors import ConnectionsFull, GreenroomError, NodeBusy, TokenInvalid, as_refusal
from greenroom.actors.messages import Caller, CloseSession, KickSession, OpenSession, SendMessage
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.wire.vocabulary import Platform, RequestId
from greenroom.transport.envelope.codec import Codec, EnvelopeError, Request, Response, codec
from greenroom.transport.envelope.websocket_frame import binary_frame, text_frame
from greenroom.transport.gateway.handshake import ACCEPTED, BAD_REQUEST, parse_parameters, refusal, verdict
from greenroom.transport.gateway.requests import REQUESTS, Queries
from greenroom.transport.gateway.shell import FrameProtocol, Phase, Shell

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf.message import Message

    from greenroom.actors.runtime.replies import Answer, Failed, Piped
    from greenroom.actors.wire import sdkws_pb2
    from greenroom.transport.gateway.surroundings import Surroundings
    from greenroom.transport.gateway.upgrade import Head

__all__ = ["Connection", "ConnectionActor"]

log = logging.getLogger("greenroom.transport")

CRASHES_ALLOWED = 5
"""Crashes of entities that one connection's requests may cause before it is closed."""

OPENING = 0
"""The `ref` of the connection's OpenSession; those of its requests follow."""


class _Text(msgspec.Struct):
    """What a TEXT frame may say."""

    type: str
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Ask(msgspec.Struct, frozen=True, gc=False):
    """What is kept of a request until its answer comes."""

    req_identifier: int
    operation_id: str
    msg_incr: str
    last: bool


class ConnectionActor(Entity):
    """The address of a connection: what comes there goes to the connection. Its crash drops the socket."""

    __slots__ = ("connection",)

    def __init__(self, connection: Connection) -> None:
        self.connection = connection

    def receiveMsg_Answer(self, message: Answer, sender: Address) -> None:
        self.connection.answered(message.ref, message.value)

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        self.connection.failed(message.ref, message.error)

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        if message.error is None:
            self.connection.answered(message.tag, message.value)
        else:
            self.connection.failed(message.tag, message.error)

    def receiveMsg_KickSession(self, message: KickSession, sender: Address) -> None:
        self.connection.kick()

    def on_stop(self) -> None:
        self.connection.stop()

    def on_crash(self, error: BaseException) -> None:
        self.connection.abort()


class Connection(FrameProtocol):
    """One device of one user.

    Order: sends are handed on as they come, up to `requests_in_flight` unanswered and as far as the node takes
    more on (`Admission`); any other request runs alone, after all before it are answered. While one waits to
    begin, nothing more is read. Replies are never dropped while the socket lives. Pushes leave in
    the order of the calls; when the outbox is full the connection ends, and the client pulls what it missed.
    Whatever one client sends ends at most its own connection.
    """

    __slots__ = (
        "_alone", "_asks", "_backlog", "_next_ref", "_surroundings", "_upgrade", "address", "codec",
        "crashes", "digest", "is_background", "platform_id", "token", "user_id", "watched",
    )  # fmt: skip

    codec: Codec
    address: Address
    watched: set[str] | None

    def __init__(self, shell: Shell, surroundings: Surroundings) -> None:
        super().__init__(shell)
        self._surroundings = surroundings
        self._asks: dict[int, _Ask] = {}
        self._next_ref = OPENING + 1
        # True while a request that runs alone is unanswered.
        self._alone = False
        # Messages that were read and may not begin yet; the first may be decoded already.
        self._backlog: deque[bytes | Request] | None = None
        # While opening: the 101, and what follows it when all is well.
        self._upgrade: tuple[bytes, bool] | None = None
        self.user_id = ""
        self.token = ""
        self.digest = b""
        self.crashes = 0
        self.platform_id = 0
        self.is_background = False
        self.watched = None

    @property
    def queries(self) -> Queries:
        """See `Requester`."""
        return self._surroundings.queries

    @property
    def is_session(self) -> bool:
        """Whether its user has been asked to open a session."""
        return bool(self.user_id)

    # The handshake.

    def on_request(self, request: Head) -> None:
        surroundings = self._surroundings
        try:
            if len(surroundings.sessions) >= self.shell.settings.max_connections:
                raise ConnectionsFull
            parameters = parse_parameters(request.target, request.first(b"compression"))
        except GreenroomError as error:
            self._refuse(error, request)
            return
        upgrade = request.accepted()
        try:
            claims = surroundings.authenticator.parse(parameters.token)
            if claims.user_id != parameters.user_id or claims.platform_id != parameters.platform_id:
                raise TokenInvalid
        except GreenroomError as error:
            if upgrade is None:
                self._refuse(error, request)
            else:
                self._refuse_token(error, upgrade if parameters.is_msg_resp else None)
            return
        if upgrade is None:
            self.refuse(request.fit(BAD_REQUEST))
            return
        self._upgrade = (upgrade, parameters.is_msg_resp)
        self.user_id = parameters.user_id
        self.platform_id = parameters.platform_id
        self.is_background = parameters.is_background
        self.token = parameters.token
        self.digest = claims.digest
        self.codec = codec("js" if parameters.sdk_type == "js" else "go", parameters.compression == "gzip")
        base = surroundings.base
        self.address = Address("connection", str(base.next_number()))
        base.spawn(self.address, lambda: ConnectionActor(self))
        surroundings.sessions.add(self)
        self._send(
            Address("user", self.user_id),
            OpenSession(
                caller=self._caller(parameters.operation_id),
                ref=OPENING,
                digest=claims.digest,
                connection=self.address,
            ),
        )

    def _opened(self) -> None:
        if self._upgrade is not None:
            (head, is_msg_resp), self._upgrade = self._upgrade, None
            # Of the pings' 27 s only browsers need any: they cannot ping.
            self.open(head + text_frame(ACCEPTED) if is_msg_resp else head, ping=self.platform_id == Platform.WEB)

    def _open_refused(self, error: GreenroomError) -> None:
        if self._upgrade is not None:
            (head, is_msg_resp), self._upgrade = self._upgrade, None
            self._refuse_token(error, head if is_msg_resp else None)

    def _refuse(self, error: GreenroomError, request: Head) -> None:
        self._log_refusal(error)
        self.refuse(request.fit(refusal(error)))

    def _refuse_token(self, error: GreenroomError, upgrade: bytes | None) -> None:
        self._log_refusal(error)
        self.refuse(refusal(error) if upgrade is None else upgrade + text_frame(verdict(error)))

    @staticmethod
    def _log_refusal(error: GreenroomError) -> None:
        log.debug("refused a connect: %d %s", error.code, type(error).__name__)

    # What the client sends.

    def on_text(self, text: str) -> None:
        try:
            message = msgspec.json.decode(text, type=_Text)
        except msgspec.DecodeError:
            self.leave()
            return
        if message.type == "ping":
            self.outbox.add(text_frame(b'{"type":"pong","body":%b}' % bytes(message.body)))
        elif message.type != "pong":
            self.leave()

    def on_binary(self, data: bytes) -> None:
        if self._backlog is None:
            waiting = self._take(data)
            if waiting is not None and self.phase is Phase.OPEN:
                self._backlog = deque((waiting,))
                self.review_reading()
        else:
            self._backlog.append(data)

    def wants_reading(self) -> bool:
        return self._backlog is None

    def is_busy(self) -> bool:
        return bool(self._asks)

    def leave(self) -> None:
        self._surroundings.sessions.hand_over()
        self._backlog = None
        self._surroundings.admission.forget(self)
        super().leave()

    def _take(self, data: bytes | Request, *, in_turn: bool = False) -> bytes | Request | None:
        """Begin a request, or answer what has to wait."""
        asks = self._asks
        if self._alone or len(asks) >= self.shell.settings.requests_in_flight:
            return data
        admission = self._surroundings.admission
        if not in_turn and not admission.may_enter():
            admission.wait(self)
            return data
        request = self._decode(data)
        if request is None:
            return None
        kind = REQUESTS[request.req_identifier]
        if asks and not kind.pipelined:
            return request
        kind.run(self, request)
        return None

    def _decode(self, data: bytes | Request) -> Request | None:
        """A request that this user may make; after any other the connection ends."""
        if isinstance(data, Request):
            return data
        try:
            request = self.codec.decode_request(data, unfolded_limit_bytes=self.shell.settings.max_unfolded_bytes)
        except EnvelopeError:
            log.debug("a frame of %s is no envelope: its connection ends", self.address)
            self.leave()
            return None
        if request.req_identifier not in REQUESTS or request.send_id != self.user_id:
            log.debug("a request of %s is unknown or another user's: its connection ends", self.address)
            self.leave()
            return None
        return request

    def _work_off(self) -> None:
        backlog = self._backlog
        while backlog and self._backlog is backlog:
            waiting = self._take(backlog[0])
            if waiting is not None:
                backlog[0] = waiting
                return
            backlog.popleft()
        self.read_on()

    # The admission's side.

    def go_on(self) -> bool:
        """See `Waiter`."""
        backlog = self._backlog
        if not backlog:
            return False
        waiting = self._take(backlog[0], in_turn=True)
        if waiting is not None:
            backlog[0] = waiting
            return False
        if self._backlog is not backlog:
            return False
        backlog.popleft()
        self.read_on()
        return bool(backlog)

    def give_up(self) -> int:
        """See `Waiter`. Only sends are refused."""
        backlog = self._backlog
        count = 0
        while backlog and self._backlog is backlog:
            request = self._decode(backlog[0])
            if request is None:
                break
            if not REQUESTS[request.req_identifier].pipelined:
                backlog[0] = request
                if self._take(request, in_turn=True) is None and self._backlog is backlog:
                    backlog.popleft()
                break
            backlog.popleft()
            self.reply_error(request, NodeBusy())
            count += 1
        return count

    def read_on(self) -> None:
        """Read again when nothing waits to begin any more."""
        if self._backlog is not None and not self._backlog:
            self._backlog = None
            self.review_reading()

    # What handlers do: see `Requester`.

    def reply(self, request: Request, data: bytes | None) -> None:
        self._respond(_ask(request), data, None)

    def reply_error(self, request: Request, error: GreenroomError) -> None:
        self._respond(_ask(request), None, error)

    def query(
        self, request: Request, query: Callable[[Caller, Any], Awaitable[bytes]], payload: Message
    ) -> None:
        ref = self._begin(request)
        self._alone = True
        reading = query(self._caller(request.operation_id), payload)
        self._surroundings.base.pipe(self.address, reading, tag=ref)

    def send_message(self, request: Request, message: sdkws_pb2.MsgData) -> None:
        try:
            target = self._surroundings.address_of(message)
        except GreenroomError as error:
            self.reply_error(request, error)
            return
        ref = self._begin(request)
        self._send(target, SendMessage(caller=self._caller(request.operation_id), ref=ref, message=message))

    def set_background(self, is_background: bool) -> None:
        self.is_background = is_background
        self._surroundings.sessions.reconsider()

    def watch(self, subscribe: list[str], unsubscribe: list[str]) -> bytes:
        return self._surroundings.sessions.watch(self, subscribe, unsubscribe)

    def _begin(self, request: Request) -> int:
        ref = self._next_ref
        self._next_ref = ref + 1
        self._asks[ref] = _ask(request)
        self._surroundings.admission.enter()
        return ref

    def _caller(self, operation_id: str) -> Caller:
        user_id = self.user_id
        return Caller(user_id, self.platform_id, operation_id, user_id in self._surroundings.admin_user_ids)

    def _send(self, target: Address, message: Any) -> None:
        self._surroundings.base.send(self.address, target, message)

    def _respond(self, ask: _Ask, data: bytes | None, error: GreenroomError | None) -> None:
        response = Response(
            req_identifier=ask.req_identifier,
            msg_incr=ask.msg_incr,
            operation_id=ask.operation_id,
            err_code=0 if error is None else error.code,
            err_msg="" if error is None else error.name,
            data=data,
        )
        if self.phase is Phase.OPEN or self.phase is Phase.LEAVING:
            self.outbox.add(binary_frame(self.codec.encode_response(response)))
        if ask.last:
            self.leave()

    # What the actor hands over.

    def answered(self, ref: int, value: Any) -> None:
        """A request, or the opening, was carried out. `value`: serialized, or a message to serialize."""
        if ref == OPENING:
            self._opened()
            return
        ask = self._asks.pop(ref, None)
        if ask is not None:
            data = value if value is None or isinstance(value, bytes) else value.SerializeToString()
            self._respond(ask, data, None)
            self._settled()
            self._surroundings.admission.leave()

    def failed(self, ref: int, error: BaseException) -> None:
        """A request, or the opening, was refused."""
        if not isinstance(error, GreenroomError):
            log.error("a request of %s failed with %s", self.address, type(error).__name__)
            error = as_refusal(error)
        if ref == OPENING:
            self._open_refused(error)
            return
        ask = self._asks.pop(ref, None)
        if ask is not None:
            self._respond(ask, None, error)
            self._settled()
            self._surroundings.admission.leave()

    def _settled(self) -> None:
        if not self._asks:
            self._alone = False
        if self.phase is Phase.LEAVING:
            self.try_leave()
        elif self._backlog is not None:
            self.renew()
            self._work_off()

    def kick(self) -> None:
        """Say 2002 and close."""
        self._surroundings.sessions.hand_over()
        if self.phase is Phase.OPEN or self.phase is Phase.LEAVING:
            self.outbox.add(binary_frame(self.codec.encode_response(Response(req_identifier=RequestId.KICK))))
            self.finish()
        else:
            self.abort()

    def charge(self) -> None:
        """A request of this connection crashed an entity. Past a few, the connection ends."""
        self.crashes += 1
        if self.crashes > CRASHES_ALLOWED:
            times = self._surroundings.base.sampler.take("connection closed for its crashes")
            if times:
                log.warning("%s crashed %d entities: it is closed (%d so closed)", self.address, self.crashes, times)
            self.leave()

    def stop(self) -> None:
        """Close, after what waits in the outbox."""
        self._surroundings.sessions.hand_over()
        if self.phase is Phase.OPENING:
            self.abort()
        else:
            self.finish()

    # The session table's side.

    def push(self, frame: bytes) -> None:
        """Write a ready frame, in order; one that finds the outbox full is lost and ends the connection."""
        phase = self.phase
        if phase is Phase.OPEN or phase is Phase.OPENING:
            settings = self.shell.settings
            if not self.outbox.offer(frame, settings.outbox_limit_frames, settings.outbox_limit_bytes):
                log.debug("%s does not read what it gets: it ends", self.address)
                if phase is Phase.OPEN:
                    self.leave()
                else:
                    self.abort()

    def push_all(self, frames: list[bytes], data: bytes) -> None:
        """The same with several in a row, which have waited for the end of a tick; `data` is all of them."""
        if self.phase is not Phase.OPEN or not self.outbox.pass_on(data):
            for frame in frames:
                self.push(frame)

    # The socket's side.

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._surroundings.connections[self] = None

    def on_lost(self) -> None:
        surroundings = self._surroundings
        surroundings.connections.pop(self, None)
        self._backlog = self._upgrade = None
        surroundings.admission.forget(self)
        if self._asks:
            surroundings.admission.leave(len(self._asks))
            self._asks.clear()
        self.token = ""
        if self.is_session:
            surroundings.sessions.remove(self)
            self._send(Address("user", self.user_id), CloseSession(self.address))
            surroundings.base.kill(self.address)
        if not surroundings.connections and surroundings.on_empty is not None:
            surroundings.on_empty()


def _ask(request: Request) -> _Ask:
    kind = REQUESTS[request.req_identifier]
    return _Ask(request.req_identifier, request.operation_id, request.msg_incr, kind.last)
