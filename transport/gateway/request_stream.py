"""A connection's requests: they are decoded, begun in order as the node admits them, and answered."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import msgspec

from greenroom.actors.errors import ArgsError, GreenroomError, NodeBusy
from greenroom.transport.envelope.request_response import EnvelopeError, Request, Response
from greenroom.transport.envelope.websocket_frame import binary_frame
from greenroom.transport.gateway.requests import REQUESTS
from greenroom.transport.gateway.websocket import Phase, WebSocketProtocol

if TYPE_CHECKING:
    from greenroom.actors.runtime.address import Address
    from greenroom.transport.envelope.codec import Codec
    from greenroom.transport.gateway.gateway import Gateway
    from greenroom.transport.gateway.requests import RequestKind

__all__ = ["RequestStream"]

log = logging.getLogger("greenroom.transport")


_SMALL_BYTES = 4 * 1024
"""To read a request, or to write an answer, of at most this size costs no more than its frame, which is counted."""

_LIST_WEIGHT = 3
"""A byte of a list counts so many times more: its elements may be empty, and cost as much as forty bytes of text."""


class _InFlight(msgspec.Struct, frozen=True):
    """The fields of a request that its response needs."""

    req_identifier: int
    operation_id: str
    msg_incr: str
    ends_connection: bool


class RequestStream(WebSocketProtocol):
    """A WebSocket whose binary messages are the requests of one user.

    Order: sends begin in the order in which they arrive, while fewer than `requests_in_flight` are unanswered and the
    node admits more (`Admission`). Any other request runs alone, once all earlier ones are answered. While a request
    waits to begin, no further data is read. Loss: no response is dropped while the socket is open. A message that is
    not a request of this user ends the connection.

    A subclass sets `address`, `user_id` and `codec` before it opens. Its `handle` is called once for each request that
    begins, and calls `reply` or `reply_error` immediately, or `track` and later `answer`.
    """

    __slots__ = ("_backlog", "_gateway", "_in_flight", "_next_ref", "_runs_alone", "address", "codec", "user_id")

    address: Address
    codec: Codec

    def __init__(self, gateway: Gateway) -> None:
        super().__init__(gateway)
        self._gateway = gateway
        self._in_flight: dict[int, _InFlight] = {}
        self._next_ref = 1
        # True while a request that runs alone is unanswered.
        self._runs_alone = False
        # Messages that were read but may not begin yet; the first one may already be decoded.
        self._backlog: deque[bytes | Request] | None = None
        self.user_id = ""

    # The hook.

    def handle(self, request: Request, kind: RequestKind) -> None:
        """Carry out a request."""
        raise NotImplementedError

    # For subclasses.

    def track(self, request: Request, *, alone: bool = False) -> int:
        """Returns a number. The request is in flight until `answer` is called with it. With `alone`, no other request
        begins before that."""
        ref = self._next_ref
        self._next_ref = ref + 1
        self._in_flight[ref] = _in_flight(request)
        if alone:
            self._runs_alone = True
        self._gateway.admission.request_began()
        return ref

    def answer(self, ref: int, data: bytes | None, error: GreenroomError | None = None) -> None:
        """Answer the request with this number, and begin requests that waited for it. Unknown numbers are ignored."""
        request = self._in_flight.pop(ref, None)
        if request is None:
            return
        self._respond(request, data, error)
        if not self._in_flight:
            self._runs_alone = False
        if self.phase is Phase.DRAINING:
            self.close_if_drained()
        elif self._backlog is not None:
            self.restart_read_timeout()
            self._begin_backlog()
        self._gateway.admission.requests_ended()

    def reply(self, request: Request, data: bytes | None) -> None:
        self._respond(_in_flight(request), data, None)

    def reply_error(self, request: Request, error: GreenroomError) -> None:
        self._respond(_in_flight(request), None, error)

    # Called by the WebSocket.

    @property
    def owner(self) -> str:
        return self.user_id

    def read_on(self) -> None:
        if self._backlog:
            self._begin_backlog()
        else:
            super().read_on()

    def on_binary(self, data: bytes) -> None:
        if self._backlog is None:
            waiting = self._begin(data)
            if waiting is not None and self.phase is Phase.OPEN:
                self._backlog = deque((waiting,))
                self.update_reading()
        else:
            self._backlog.append(data)

    def wants_reading(self) -> bool:
        return self._backlog is None

    def is_busy(self) -> bool:
        return bool(self._in_flight)

    def drain(self) -> None:
        self._backlog = None
        self._gateway.admission.forget(self)
        super().drain()

    def on_lost(self) -> None:
        self._backlog = None
        admission = self._gateway.admission
        admission.forget(self)
        if self._in_flight:
            admission.requests_ended(len(self._in_flight))
            self._in_flight.clear()

    # Called by the admission.

    def begin_next(self) -> bool:
        """See `Waiter`."""
        backlog = self._backlog
        if not backlog:
            return False
        waiting = self._begin(backlog[0], in_turn=True)
        if waiting is not None:
            backlog[0] = waiting
            return False
        if self._backlog is not backlog:
            return False
        backlog.popleft()
        self.resume_reading()
        return bool(backlog)

    def refuse_late(self) -> int:
        """See `Waiter`. Only sends are refused."""
        backlog = self._backlog
        count = 0
        while backlog and self._backlog is backlog:
            request = self._decode(backlog[0])
            if request is None:
                break
            if not REQUESTS[request.req_identifier].pipelined:
                backlog[0] = request
                if self._begin(request, in_turn=True) is None and self._backlog is backlog:
                    backlog.popleft()
                break
            backlog.popleft()
            self.reply_error(request, NodeBusy())
            count += 1
        return count

    def resume_reading(self) -> None:
        """See `Waiter`. Does nothing while a request is waiting to begin."""
        if self._backlog is not None and not self._backlog:
            self._backlog = None
            self.update_reading()

    # Begins requests.

    def _begin(self, data: bytes | Request, *, in_turn: bool = False) -> bytes | Request | None:
        """Begin a request. If it has to wait, returns the message, or the request if it was decoded."""
        in_flight = self._in_flight
        if self._runs_alone or len(in_flight) >= self.server.settings.requests_in_flight:
            return data
        admission = self._gateway.admission
        if not in_turn and not admission.may_begin():
            admission.enqueue(self)
            return data
        request = self._decode(data)
        if request is None:
            return None
        kind = REQUESTS[request.req_identifier]
        if in_flight and not kind.pipelined:
            return request
        if not kind.pipelined:
            turns = self.server.turns
            turns.end_turn(self.user_id)
            if kind.list_field and request.data:
                turns.charge(self.user_id, _LIST_WEIGHT * len(request.data))
        self.handle(request, kind)
        return None

    def _begin_backlog(self) -> None:
        backlog = self._backlog
        while backlog and self._backlog is backlog:
            if not self.server.turns.may_read(self.user_id):
                self.server.turns.add(self)
                return
            waiting = self._begin(backlog[0])
            if waiting is not None:
                backlog[0] = waiting
                return
            backlog.popleft()
        self.resume_reading()

    def _decode(self, data: bytes | Request) -> Request | None:
        """The request, if this user may make it. Otherwise the connection ends."""
        if isinstance(data, Request):
            return data
        try:
            frame = self.codec.unfold(data, self.server.settings.max_unfolded_bytes)
            if len(frame) > _SMALL_BYTES:
                self.server.turns.charge(self.user_id, len(frame))
            request = self.codec.read_request(frame)
        except EnvelopeError:
            log.debug("%s sent a frame that is not an envelope and is closed", self.address)
            self.drain()
            return None
        if request.req_identifier not in REQUESTS or request.send_id != self.user_id:
            log.debug("%s sent a request of unknown id or of another user and is closed", self.address)
            self.drain()
            return None
        return request

    def _respond(self, request: _InFlight, data: bytes | None, error: GreenroomError | None) -> None:
        if data is not None and len(data) > _SMALL_BYTES:
            self.server.turns.charge(self.user_id, len(data))
        response = Response(
            req_identifier=request.req_identifier,
            msg_incr=request.msg_incr,
            operation_id=request.operation_id,
            err_code=0 if error is None else error.code,
            err_msg="" if error is None else _message_of(error),
            data=data,
        )
        if self.phase is Phase.OPEN or self.phase is Phase.DRAINING:
            self.outbox.add(binary_frame(self.codec.encode_response(response)))
        if request.ends_connection:
            self.drain()


def _message_of(error: GreenroomError) -> str:
    """OpenIM's errMsg. A frame has no errDlt, so the errors whose code does not say enough have it here: an ArgsError
    names its field, and a 500 that may pass says why, such as a limit."""
    says_why = error.code == ArgsError.code or (error.code == GreenroomError.code and error.retryable)
    return f"{error.name}: {error.detail}" if says_why and error.detail else error.name


def _in_flight(request: Request) -> _InFlight:
    kind = REQUESTS[request.req_identifier]
    return _InFlight(request.req_identifier, request.operation_id, request.msg_incr, kind.ends_connection)
