"""The HTTP API: a request is answered from its row of the table, in the protocol's order of checks (PROTOCOL 2.1).

Holds no chat rule. Logs no token, no body and no message of an unforeseen exception, which may quote them.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf.message import DecodeError

from greenroom.actors.errors import ArgsError, GreenroomError, NodeBusy, as_refusal
from greenroom.actors.messages import Caller, VerifyToken
from greenroom.actors.rules.ids import user_address
from greenroom.actors.wire.openim_json import JsonMismatch, from_json
from greenroom.transport.http.answer import TEXT, Answer, Ready, ready
from greenroom.transport.http.body import Bodies, BodiesFull, BodyLate, ClientGone, read_body
from greenroom.transport.http.context import Call, Context
from greenroom.transport.http.envelope import failure, success
from greenroom.transport.http.free_json import BodyMismatch, bind
from greenroom.transport.http.openapi import describe
from greenroom.transport.http.routes import TABLE
from greenroom.transport.http.routes.absent import ABSENT_GETS
from greenroom.transport.http.table import Route, is_wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.transport.http.body import Incoming
    from greenroom.transport.http.metrics import Metrics

__all__ = ["HttpApi"]

logger = logging.getLogger("greenroom.http")

_NO_TOKEN_NEEDED = ("/auth/get_admin_token", "/auth/parse_token", "/greenroom/")
"""Paths that start so are open, unknown ones too: the check comes before routing."""

_OPERATION_ID_LIMIT = 256
"""An operation id travels with every push it causes; no client's is longer."""


class NotImplementedYet(GreenroomError):
    """OpenIM has this route; this server does not, and does not pretend to."""


class NotFound(Exception):
    """No such route: the one error outside the envelope."""


class _Asked(msgspec.Struct):
    """The headers that matter."""

    operation_id: str = ""
    token: str = ""
    takes_gzip: bool = False
    is_protobuf: bool = False


class HttpApi:
    """One look-up leads to a request's row: no router, no middleware. At most `http.requests_in_flight` POSTs are under
    way; more of them wait, for `overload.patience_s`, and are then answered with 503 and NodeBusy. So is a body for
    which there is no room."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._places = asyncio.Semaphore(context.settings.http.requests_in_flight)
        self._bodies = Bodies(context.settings.http.bodies_limit_bytes)
        self._openapi = b""
        self._metrics: Metrics | None = None

    async def answer(
        self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]], incoming: Incoming
    ) -> Ready | None:
        """Names of headers in lower case. None: the client is gone."""
        asked = _read_headers(headers)
        try:
            if method == "POST":
                answer = await self._admit(path, asked, incoming)
            elif method == "OPTIONS":
                answer = Answer(b'"Options Request!"')
            elif method in ("GET", "HEAD"):
                answer = self._get(path)
            else:
                answer = _not_found()
        except ClientGone:
            return None
        except Exception as error:
            _log_unforeseen(path if path in TABLE else "(unknown path)", error)
            answer = _refusal(as_refusal(error))
        http_id = self._context.random.randbytes(16).hex()
        http_id = f"{http_id[:8]}-{http_id[8:12]}-4{http_id[13:16]}-a{http_id[17:20]}-{http_id[20:]}"
        return ready(answer, http_id=http_id, takes_gzip=asked.takes_gzip)

    async def _admit(self, path: str, asked: _Asked, incoming: Incoming) -> Answer:
        if self._places.locked():
            try:
                async with asyncio.timeout(self._context.settings.overload.patience_s):
                    await self._places.acquire()
            except TimeoutError:
                return _busy()
        else:
            await self._places.acquire()
        try:
            return await self._post(path, asked, incoming)
        finally:
            self._places.release()

    async def _post(self, path: str, asked: _Asked, incoming: Incoming) -> Answer:
        try:
            caller = await self._identify(path, asked)
            route = TABLE.get(path)
            if route is None:
                return _not_found()
            return await self._run(route, caller, asked, incoming)
        except GreenroomError as error:
            logger.debug("refused: %s", type(error).__name__)
            return _refusal(error)

    async def _identify(self, path: str, asked: _Asked) -> Caller:
        """Raises ArgsError for missing headers, and the token's errors."""
        if not asked.operation_id:
            raise ArgsError("header must have operationID")
        if path.startswith(_NO_TOKEN_NEEDED):
            return Caller("", 0, asked.operation_id)
        if not asked.token:
            raise ArgsError("header must have token")
        context = self._context
        claims = context.auth.parse(asked.token)
        caller = Caller(
            claims.user_id, claims.platform_id, asked.operation_id, is_admin=context.is_admin(claims.user_id)
        )
        verify = VerifyToken(caller=caller, platform_id=claims.platform_id, digest=claims.digest)
        await Call(context, caller).ask(user_address(claims.user_id), verify)
        return caller

    async def _run(self, route: Route, caller: Caller, asked: _Asked, incoming: Incoming) -> Answer:
        with self._bodies.share() as share:
            try:
                body, whole = await read_body(incoming, self._context.settings.http.max_body_bytes, share)
            except BodyLate:
                return _refusal(ArgsError("body did not come in time"))._replace(closes=True)
            except BodiesFull:
                return _busy()
            return await self._handle(route, caller, asked, body, whole)

    async def _handle(self, route: Route, caller: Caller, asked: _Asked, body: bytes, whole: bool) -> Answer:
        if route.handler is None or route.request is None:
            raise NotImplementedYet(f"not implemented yet: {route.path}")
        as_protobuf = asked.is_protobuf and route.protobuf
        try:
            request = _bind(route, body, as_protobuf)
            route.check(request)
            route.who.check(caller, request)
            answer = await route.handler(Call(self._context, caller), request)
        except (JsonMismatch, BodyMismatch, DecodeError) as error:
            detail = "body does not parse" if isinstance(error, DecodeError) else str(error)
            refusal = _refusal(ArgsError(detail))
            return refusal._replace(status=400 if route.strict else 200, closes=not whole)
        return Answer(success(route, answer, as_protobuf=as_protobuf))

    def _get(self, path: str) -> Answer:
        if path == "/healthz":
            return Answer(b'{"status":"ok"}')
        if path == "/metrics" and self._context.settings.http.metrics:
            return self._get_metrics()
        if path == "/openapi.json":
            self._openapi = self._openapi or msgspec.json.encode(describe(TABLE.values()))
            return Answer(self._openapi)
        if any(path == one or (one[-1] == "/" and path.startswith(one)) for one in ABSENT_GETS):
            return _refusal(NotImplementedYet("not implemented yet"))
        return _not_found()

    def _get_metrics(self) -> Answer:
        # Most nodes are never asked, and Prometheus' library is half a megabyte.
        from greenroom.transport.http.metrics import CONTENT_TYPE, Metrics

        if self._metrics is None:
            self._metrics = Metrics(self._context.look)
        return Answer(self._metrics.render(), content_type=CONTENT_TYPE)


def _read_headers(headers: Iterable[tuple[bytes, bytes]]) -> _Asked:
    asked = _Asked()
    for name, value in headers:
        if name == b"operationid":
            asked.operation_id = value.decode("latin-1")[:_OPERATION_ID_LIMIT]
        elif name == b"token":
            asked.token = value.decode("latin-1")
        elif name == b"accept-encoding":
            asked.takes_gzip = b"gzip" in value
        elif name == b"content-type":
            asked.is_protobuf = b"protobuf" in value
    return asked


def _bind(route: Route, body: bytes, as_protobuf: bool) -> Any:
    """Raises JsonMismatch, BodyMismatch, DecodeError."""
    kind = route.request
    assert kind is not None
    if not is_wire(kind):
        return bind(body, kind)  # type: ignore[type-var]
    return kind.FromString(body) if as_protobuf else from_json(body, kind)


def _refusal(error: GreenroomError) -> Answer:
    return Answer(failure(error.code, error.name, error.detail))


def _busy() -> Answer:
    """The body was not read: the connection is of no more use."""
    return _refusal(NodeBusy())._replace(status=503, closes=True)


def _not_found() -> Answer:
    return Answer(b"404 page not found", status=404, content_type=TEXT)


def _log_unforeseen(path: str, error: Exception) -> None:
    """Where it happened, not what it says."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    logger.error("%s in %s\n%s", type(error).__name__, path, frames)
