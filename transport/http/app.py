"""The HTTP API: a request is checked and answered by its row of the table, in the protocol's order (PROTOCOL 2.1).

It contains no chat rules. It logs no token, no body, and no text of an unexpected exception, which may quote them.
"""

from __future__ import annotations

import asyncio
import logging
import math
import traceback
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from greenroom.actors.errors import (
    ArgsError,
    GreenroomError,
    NodeBusy,
    StoreFailed,
    TokenKicked,
    TokenNotExist,
    TokenUnknown,
    TooManyRequests,
    as_refusal,
)
from greenroom.actors.messages import Caller, VerifyToken
from greenroom.actors.queries.slice_turns import next_slice, work_for
from greenroom.actors.rules import limits
from greenroom.actors.rules.ids import user_address
from greenroom.actors.runtime.frames import frames_of
from greenroom.actors.wire.openim_json import JsonMismatch, from_json
from greenroom.transport.http.call import Call
from greenroom.transport.http.caller_slots import CallerBusy, CallerSlots
from greenroom.transport.http.free_json import BodyMismatch, bind
from greenroom.transport.http.http_request import ClientDisconnected, HttpRequest
from greenroom.transport.http.reply_json import failure, success, success_in_slices
from greenroom.transport.http.request_body import Bodies, BodiesFull, read_whole
from greenroom.transport.http.response import HttpResponse, not_found, redirect, send_response
from greenroom.transport.http.table import Table, is_wire, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

    import msgspec
    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, HTTPScope

    from greenroom.actors.rules.tokens import Claims
    from greenroom.transport.http.call import EngineParts
    from greenroom.transport.http.table import Route
    from greenroom.transport.rate_limits import Limits

__all__ = ["HttpApi"]

logger = logging.getLogger("greenroom.http")

_LONG_BODY_BYTES = 16 * 1024
"""Reading the message of a longer body may take milliseconds."""
_USERS_SHARE = 4
"""The bodies of one user may have a quarter of the room for all of them, and always one body of the maximal size."""
_NO_TOKEN_NEEDED = ("/auth/get_admin_token", "/auth/parse_token", "/greenroom/")
"""A POST to a path with one of these prefixes needs no token, even if there is no such route: the token is checked
before routing."""


class NotImplementedYet(GreenroomError):
    """OpenIM has this route; this server does not have it yet."""


class NoFreeSlot(Exception):
    """The limit of calls in flight is reached, and none of them ended in time."""


class HttpApi:
    """An ASGI application: one look-up finds a request's row, without router and middleware.

    At most `http.requests_in_flight` calls are in flight, `http.requests_in_flight_per_user` of one user. Further calls
    wait for up to `overload.patience_s`, or for others of their user, and are then answered with 503 and NodeBusy. A
    call is not in flight before its body has arrived, so a client that sends slowly makes no other client wait. A body
    for which there is no room is also answered with 503.
    """

    def __init__(self, engine: EngineParts, limits: Limits, routes: Iterable[Route]) -> None:
        self._engine = engine
        self._limits = limits
        self._settings = engine.settings.http
        self._table = Table(routes)
        self._slots = asyncio.Semaphore(self._settings.requests_in_flight)
        self._callers = CallerSlots(self._settings.requests_in_flight_per_user)
        limit_bytes = self._settings.bodies_limit_bytes
        least_bytes = min(limit_bytes, self._settings.max_body_bytes)
        self._bodies = Bodies(limit_bytes, user_limit_bytes=max(limit_bytes // _USERS_SHARE, least_bytes))

    async def __call__(self, scope: HTTPScope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        request = HttpRequest(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnected:
            return
        http_id = self._engine.rng.randbytes(16).hex()
        http_id = f"{http_id[:8]}-{http_id[8:12]}-4{http_id[13:16]}-a{http_id[17:20]}-{http_id[20:]}"
        try:
            await send_response(response, request, send, http_id=http_id.encode())
        except Exception as error:
            self._log_unexpected(request, error)
            raise  # The answer has already begun, so uvicorn can only close the connection.

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        """Raises ClientDisconnected."""
        try:
            if request.method == "OPTIONS":
                return HttpResponse(b'"Options Request!"')
            route = self._table.find(request.method, request.path)
            if route is None and (path := self._table.slashed(request.method, request.path)):
                query = f"?{request.query_string.decode('latin-1')}" if request.query_string else ""
                return redirect(path + query, status=301 if request.method == "GET" else 307)
            claims = self._claims(request, route)
            if route is None and request.method != "POST":
                return not_found()
            if route is not None and route.request is not None:
                return await self._call(route, request, claims)
            caller = await self._caller(request, claims)
            return not_found() if route is None else await self._plain(route, request, caller)
        except GreenroomError as error:
            logger.debug("refused: %s", type(error).__name__)
            return _refusal(error)
        except BodiesFull:
            return _refusal(NodeBusy(), status=503, closes=True)
        except (NoFreeSlot, CallerBusy):
            return _refusal(NodeBusy(), status=503)
        except ClientDisconnected:
            raise
        except Exception as error:
            self._log_unexpected(request, error)
            return _refusal(as_refusal(error))

    # The caller.

    def _claims(self, request: HttpRequest, route: Route | None) -> Claims | None:
        """The claims of the token. None if no token is needed. A request without a valid token is counted.

        Raises ArgsError for missing headers, the token's errors, TooManyRequests.
        """
        try:
            claims = self._parse_token(request, route)
        except GreenroomError:
            self._limits.check_anonymous(request.client(self._limits))
            raise
        if claims is None and (route is None or route.kind != "probe"):
            self._limits.check_anonymous(request.client(self._limits))
        return claims

    def _parse_token(self, request: HttpRequest, route: Route | None) -> Claims | None:
        """The claims of the token. None if no token is needed. Raises ArgsError for missing headers, and the token's
        errors."""
        if request.method == "POST":
            if not request.operation_id:
                raise ArgsError("header must have operationID")
            limits.check_text("operationID", request.operation_id)
            if request.path.startswith(_NO_TOKEN_NEEDED):
                return None
        elif route is None or route.who.kind == "anyone":
            return None
        if not request.token:
            raise ArgsError("header must have token")
        return self._engine.world.auth.parse(request.token)

    async def _caller(self, request: HttpRequest, claims: Claims | None) -> Caller:
        """Raises the token's errors, NoFreeSlot."""
        if claims is None:
            return await self._verified(request, None)
        await self._acquire_slot()
        try:
            return await self._verified(request, claims)
        finally:
            self._slots.release()

    async def _verified(self, request: HttpRequest, claims: Claims | None) -> Caller:
        """Raises the token's errors."""
        if claims is None:
            return Caller("", 0, request.operation_id)
        caller = Caller(
            claims.user_id, claims.platform_id, request.operation_id, is_admin=self._is_admin(claims)
        )
        verify = VerifyToken(caller=caller, platform_id=claims.platform_id, digest=claims.digest)
        try:
            await self._new_call(caller, request).ask(user_address(claims.user_id), verify)
        except (TokenKicked, TokenNotExist, TokenUnknown):
            self._limits.check_anonymous(request.client(self._limits))
            raise
        return caller

    def _is_admin(self, claims: Claims | None) -> bool:
        return claims is not None and claims.user_id in self._engine.settings.auth.admin_user_ids

    def _new_call(self, caller: Caller, request: HttpRequest) -> Call:
        return Call(self._engine, caller, self._limits, request)

    def _count(self, route: Route, call: Call, size: int) -> None:
        """Count a user's message or change, whose body has this size. Raises TooManyRequests."""
        if route.kind != "read" and call.is_limited():
            check = self._limits.check_send if route.kind == "send" else self._limits.check_change
            check(call.caller.user_id, size)

    # The answer.

    async def _call(self, route: Route, request: HttpRequest, claims: Claims | None) -> HttpResponse:
        if route.who.kind == "admin" and not self._is_admin(claims):
            # Refused before the body is read, which is then discarded as it arrives.
            route.who.check(await self._caller(request, claims), None)
        limits_bytes = self._settings.max_body_bytes, route.max_body_bytes
        user_id = "" if claims is None or self._is_admin(claims) else claims.user_id
        body, room = await read_whole(request, self._bodies, *limits_bytes, user_id=user_id)
        try:
            if claims is None or self._is_admin(claims):
                return await self._carry_out(route, request, claims, body)
            async with self._callers.hold(claims.user_id):
                return await self._carry_out(route, request, claims, body)
        finally:
            room.release()

    async def _carry_out(self, route: Route, request: HttpRequest, claims: Claims | None, body: bytes) -> HttpResponse:
        await self._acquire_slot()
        try:
            request.check_connected()
            caller = await self._verified(request, claims)
            if caller.user_id and not caller.is_admin:  # An admin's calls are those of a server, for many users.
                turns = self._engine.queries.turns
                await turns.begin(caller.user_id)
                request.check_connected()
                if route.kind == "read":
                    work_for(turns, caller.user_id, request.check_connected)
            call = self._new_call(caller, request)
            self._count(route, call, len(body))
            try:
                return await self._handle(route, call, body)
            except StoreFailed:
                if route.kind == "send":
                    self._limits.return_send(caller.user_id)
                raise
        finally:
            self._slots.release()

    async def _handle(self, route: Route, call: Call, body: bytes) -> HttpResponse:
        assert route.handler is not None
        as_protobuf = call.request.is_protobuf and route.protobuf
        try:
            message = _bind(route, body, as_protobuf)
            if route.kind == "change":
                call.charge_rows(listed(message))
            route.check(message)
            route.who.check(call.caller, message)
            if len(body) > _LONG_BODY_BYTES:
                await next_slice()  # The checks and the call are separate turns of the loop.
            answer = await route.handler(call, message)
        except (JsonMismatch, BodyMismatch, DecodeError) as error:
            detail = "body does not parse" if isinstance(error, DecodeError) else str(error)
            return _refusal(ArgsError(detail), status=400 if route.strict else 200)
        if not call.caller.user_id:
            self._limits.forgive(call.request.client(self._limits))  # The body had a valid token, or the secret.
        if isinstance(answer, HttpResponse):
            return answer
        if as_protobuf:
            return HttpResponse(success(route, answer, as_protobuf=True))
        return HttpResponse(await success_in_slices(route, answer))

    async def _plain(self, route: Route, request: HttpRequest, caller: Caller) -> HttpResponse:
        if route.handler is None:
            raise NotImplementedYet(f"not implemented yet: {route.path}")
        call = self._new_call(caller, request)
        self._count(route, call, 0)
        route.who.check(caller, None)
        answer = await route.handler(call, request)
        return answer if isinstance(answer, HttpResponse) else HttpResponse(success(route, answer))

    async def _acquire_slot(self) -> None:
        """Raises NoFreeSlot."""
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(self._engine.settings.overload.patience_s):
                await self._slots.acquire()
        except TimeoutError:
            raise NoFreeSlot from None

    def _log_unexpected(self, request: HttpRequest, error: Exception) -> None:
        """Log where the exception happened, but not its text."""
        route = self._table.find(request.method, request.path)
        path = route.path if route else "(unknown path)"
        times = self._engine.base.sampler.take((path, type(error), frames_of(error)[-1]))
        if times:
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error("%s in %s (%d such since the last line)\n%s", type(error).__name__, path, times, frames)


def _bind(route: Route, body: bytes, as_protobuf: bool) -> Any:
    """The request message, whose lists and texts are within their limits. Raises JsonMismatch, BodyMismatch,
    DecodeError, ArgsError."""
    kind = route.request
    assert kind is not None
    if not is_wire(kind):
        free: msgspec.Struct = bind(body, kind)  # type: ignore[type-var, assignment]
        limits.check_struct(free)
        return free
    message = kind.FromString(body) if as_protobuf else from_json(body, kind, check=limits.check_json)
    if len(body) > limits.SHORTEST_BYTES:
        limits.check_message(message)
    return message


def _refusal(error: GreenroomError, *, status: int = 200, closes: bool = False) -> HttpResponse:
    headers: list[tuple[bytes, bytes]] = []
    if isinstance(error, TooManyRequests):
        status = 429
        headers = [(b"retry-after", b"%d" % math.ceil(error.retry_after_s))]
    return HttpResponse(failure(error.code, error.name, error.detail), status, headers=headers, closes=closes)
