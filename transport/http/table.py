"""The shape of a row: its method and path, its messages, its callers, its required fields, and its handler.

The rows are in `routes/`, one file for each service; `routes/__init__.py` puts them together.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import msgspec
from google.protobuf.message import Message

from greenroom.actors.errors import ArgsError
from greenroom.transport.http.access import TOKEN, Kind, Who, kind_of, read
from greenroom.transport.http.call import Call

if TYPE_CHECKING:
    from greenroom.transport.http.http_request import HttpRequest
    from greenroom.transport.http.response import HttpResponse

__all__ = [
    "MAX_ANONYMOUS_BODY_BYTES", "MAX_BODY_BYTES", "Handler", "Route", "Table", "absent", "is_wire", "listed", "plain",
    "post", "post_free",
]  # fmt: skip

MAX_BODY_BYTES = 2 * 2**20
"""Bytes of a body, unless its row says otherwise. The longest lists of `actors.rules.limits` fit."""
MAX_ANONYMOUS_BODY_BYTES = 64 * 1024
"""Bytes of a body on a row that needs no token."""

Handler = Callable[[Call, Any], Awaitable[Any]]
"""Receives the request message, or on a plain row the HttpRequest. Returns the data of the protocol's reply (None if it
has no fields, a list if the row has `many`), or an HttpResponse of its own."""

_Request = TypeVar("_Request", bound=Message)
_Response = TypeVar("_Response", bound=Message)
_Body = TypeVar("_Body", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    path: str
    """A path that ends in a slash also matches all paths below it."""
    method: str = "POST"
    """A GET row also answers HEAD."""
    request: type[Message] | type[msgspec.Struct] | None
    """A struct stands for a JSON object that is not a protobuf message. None: the handler receives the body itself."""
    response: type[Message] | type[msgspec.Struct] | None
    who: Who
    handler: Handler | None
    """None if the route is not implemented yet; the answer says so."""
    required: tuple[str, ...] = ()
    """Fields that must not be empty, with dots if nested."""
    distinct: tuple[str, ...] = ()
    """Lists without repeated ids."""
    max_body_bytes: int = 0
    """0: MAX_BODY_BYTES, or MAX_ANONYMOUS_BODY_BYTES if anyone may call. `http.max_body_bytes` may be lower."""
    strict: bool = False
    """Whether a body that cannot be parsed is answered with HTTP 400 (and the envelope)."""
    many: bool = False
    """Whether `data` is a list of response messages."""
    protobuf: bool = False
    """Whether a protobuf body is also accepted; `data` is then the base64 of the protobuf response."""
    paged: bool = False
    """Whether the request has `pagination`, whose pageNumber must be at least 1."""
    may_lack_page: bool = False
    """Whether `pagination` may be missing: the answer then has the total and no items."""

    has_data: bool = field(init=False)
    """Whether the response has fields."""
    kind: Kind = field(init=False)
    """What a call counts as in the limits of its user."""

    def __post_init__(self) -> None:
        response = self.response
        has_data = response is not None and (not is_wire(response) or bool(response.DESCRIPTOR.fields))
        object.__setattr__(self, "has_data", has_data)
        if not self.max_body_bytes:
            limit = MAX_ANONYMOUS_BODY_BYTES if self.who.kind == "anyone" else MAX_BODY_BYTES
            object.__setattr__(self, "max_body_bytes", limit)
        object.__setattr__(self, "kind", kind_of(self.path))

    def check(self, request: Any) -> None:
        """Make the checks that need only the row. Raises ArgsError."""
        for path in self.required:
            if not _is_set(request, path):
                raise ArgsError(f"{path} is empty")
        if self.paged:
            is_given = request.HasField("pagination")
            if request.pagination.pageNumber < 1 if is_given else not self.may_lack_page:
                raise ArgsError("pagination is empty or pageNumber is invalid")
        for path in self.distinct:
            ids: Sequence[str] = read(request, path)
            if len(set(ids)) != len(ids):
                raise ArgsError(f"{path} has a repeated id")


def post(
    path: str,
    request: type[_Request],
    response: type[_Response],
    who: Who,
    handler: Callable[[Call, _Request], Awaitable[_Response | list[_Response] | HttpResponse | None]],
    *,
    required: Sequence[str] = (),
    distinct: Sequence[str] = (),
    strict: bool = False,
    many: bool = False,
    protobuf: bool = False,
    may_lack_page: bool = False,
) -> Route:
    """A row whose request and response are protobuf messages."""
    for field_path in (*required, *distinct, *who.fields):
        read(request(), field_path)
    return Route(
        path=path,
        request=request,
        response=response,
        who=who,
        handler=handler,
        required=tuple(required),
        distinct=tuple(distinct),
        strict=strict,
        many=many,
        protobuf=protobuf,
        paged="pagination" in request.DESCRIPTOR.fields_by_name,
        may_lack_page=may_lack_page,
    )


def post_free(
    path: str,
    request: type[_Body],
    response: type[msgspec.Struct],
    who: Who,
    handler: Callable[[Call, _Body], Awaitable[Any]],
    *,
    strict: bool = False,
) -> Route:
    """A row whose request and response are plain JSON objects."""
    return Route(path=path, request=request, response=response, who=who, handler=handler, strict=strict)


def plain(
    method: str, path: str, who: Who, handler: Callable[[Call, HttpRequest], Awaitable[HttpResponse]] | None
) -> Route:
    """A row that is not a call of the protocol: a page, a form, a file, a stream. Its handler does not count as a
    request in flight. `who` can depend on the token, but not on a field of a message."""
    if who.kind == "owner":
        raise ValueError(f"{path}: a plain row has no message that names an owner")
    return Route(path=path, method=method, request=None, response=None, who=who, handler=handler)


def absent(path: str, *, method: str = "POST", who: Who = TOKEN) -> Route:
    """A row of the protocol that this server does not implement yet."""
    return Route(path=path, method=method, request=None, response=None, who=who, handler=None)


class Table:
    """Rows by method and path. Raises ValueError for two rows with the same method and path."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._rows: dict[tuple[str, str], Route] = {}
        for route in routes:
            if self._rows.setdefault((route.method, route.path), route) is not route:
                raise ValueError(f"two rows for {route.method} {route.path}")
        prefixes = [route for route in self._rows.values() if route.path.endswith("/")]
        self._prefixes = sorted(prefixes, key=lambda route: len(route.path), reverse=True)

    def find(self, method: str, path: str) -> Route | None:
        """The row of this path, or the nearest row above it."""
        if method == "HEAD":
            method = "GET"
        row = self._rows.get((method, path))
        if row is not None:
            return row
        return next((row for row in self._prefixes if row.method == method and path.startswith(row.path)), None)

    def slashed(self, method: str, path: str) -> str:
        """The path of the row that differs from this one by a slash at the end; empty if there is none."""
        other = path[:-1] if path.endswith("/") else f"{path}/"
        row = self.find(method, other)
        return other if row is not None and row.path == other else ""

    def __iter__(self) -> Iterator[Route]:
        return iter(self._rows.values())


def is_wire(kind: type[Message] | type[msgspec.Struct]) -> TypeGuard[type[Message]]:
    return issubclass(kind, Message)


def listed(request: Message | msgspec.Struct) -> int:
    """Number of elements in the request's own lists: of a change, the rows that it names."""
    if isinstance(request, msgspec.Struct):
        return sum(len(value) for value in msgspec.structs.astuple(request) if isinstance(value, list))
    return sum(len(value) for field, value in request.ListFields() if field.is_repeated)


def _is_set(request: Message, path: str) -> bool:
    parent_path, _, name = path.rpartition(".")
    parent: Message = read(request, parent_path) if parent_path else request
    field = parent.DESCRIPTOR.fields_by_name[name]
    if field.message_type is not None and not field.is_repeated:
        return parent.HasField(name)
    return bool(getattr(parent, name))
