"""Attacks of one client, made from the tables of routes and of WebSocket requests, so that later rows join them: each
list and text at one, at its limit, one past it and far past it; what is cheap to send and dear to read; each kind of
frame as a flood.

The attacker is `mallory`, who has a thousand chats and groups (`tests.kit.attack_range` makes them).
"""

from __future__ import annotations

import base64
import functools
import gzip
import json
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from google.protobuf.descriptor import FieldDescriptor
from websockets.frames import CloseCode, Frame, Opcode

from greenroom.actors.rules import limits
from greenroom.actors.wire.openim_json import from_dict
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.transport.envelope.codec import Request, codec
from greenroom.transport.gateway.requests import REQUESTS
from greenroom.transport.http.routes import ROUTES
from greenroom.transport.http.table import is_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from google.protobuf.message import Message

    from greenroom.transport.gateway.requests import RequestKind
    from greenroom.transport.http.table import Route

__all__ = ["ATTACKER", "CROWD", "CROWD_SIZE", "Asked", "Attack", "Called", "Flooded", "Framed", "corpus", "frame"]

ATTACKER = "mallory"
CROWD = "crowd"
"""A group of the attacker's, with CROWD_SIZE members: x0, x1, ... and the attacker."""
CROWD_SIZE = 1000
MIB = 2**20
BODY_BYTES = 2 * MIB - 1000
"""Of the longest body that most routes accept."""
FRAME_BYTES = 740_000
"""Of the longest request that a compressed frame can hold, as base64 in JSON."""
PARSED_ELEMENTS = 15_900
"""Nearly as many as a JSON body may hold, so that all of them are read before the list is refused."""
FAR_KEYS = 5000
FLOOD_BYTES = 2 * MIB
_WRAPPERS_FILE = "greenroom/actors/wire/wrappers.proto"
_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


class Called(NamedTuple):
    """One HTTP request. Everything here is made when it is needed: all bodies together have more than a gigabyte."""

    path: str
    body: Callable[[str], bytes]
    """Its argument is different each time, and makes new ids of it."""
    caller: str = ATTACKER
    """Empty: without a token."""
    method: str = "POST"
    refused_field: str = ""
    """The answer must be 1001. It names this field, unless the body is refused before its fields are known."""
    max_body_bytes: int = 0
    """What the route accepts, if there is a refused field."""
    fresh_group: Sequence[str] | None = None
    """The members of a group that is made before, and named in the body: without it only the first call would do
    anything."""
    accepts_gzip: bool = False


class Asked(NamedTuple):
    """One WebSocket request in a compressed JSON frame."""

    number: int
    data: Callable[[str], bytes]
    refused_field: str = ""
    """The answer must be 1001, unless the data is so short that it is not looked at. It names this field, or the list
    of the row that decides its size."""


class Framed(NamedTuple):
    """One frame of a connection that compresses. It ends the connection."""

    frame: Callable[[], bytes]
    close_code: int
    is_packed: bool = True


class Flooded(NamedTuple):
    """Frames as fast as one connection can, on a connection that does not compress."""

    first: bytes
    repeated: Callable[[int], bytes]
    """Each frame by its number."""
    answers: int = 0
    """How many answers to wait for; 0: for the end of the connection, or for the pong to a ping that follows them."""
    is_control: bool = False
    """Whether it must end with 1008."""
    frames: int = 0
    """0: FLOOD_BYTES of them."""


class Attack(NamedTuple):
    name: str
    what: Called | Asked | Framed | Flooded


def frame(opcode: Opcode, data: bytes = b"", *, fin: bool = True) -> bytes:
    """One frame as a client writes it."""
    return Frame(opcode, data, fin=fin).serialize(mask=True)


def corpus() -> list[Attack]:
    """All attacks, in a fixed order."""
    return [*_calls(), *_bodies(), *_pages(), *_requests(), *_frames(), *_floods()]


# The lists and texts of a message class.


class _Size(NamedTuple):
    """One list or text of a request at one size."""

    name: str
    field: str
    is_refused: bool
    value: Callable[[str], dict[str, Any]]
    """The request, as JSON has it."""


def _sizes(descriptor: Any, path: str, far_bytes: int, *, above: tuple[Any, ...] = ()) -> Iterator[_Size]:
    """Of a message class, and of those that it holds: once, if they hold each other."""
    for field in descriptor.fields:
        holder = field.message_type
        above_too = (*above, field)
        name = ".".join(each.name for each in above_too)
        if holder is not None and holder.GetOptions().map_entry:
            limit = limits.list_limit(field.name)
            for count in (1, limit, limit + 1, FAR_KEYS):
                yield _Size(
                    f"{name} {count}", field.name, count > limit,
                    functools.partial(_nested, above, path, field, functools.partial(_map_of, holder, count)),
                )  # fmt: skip
            continue
        if field.is_repeated:
            for count in _counts(field, far_bytes):
                yield _Size(
                    f"{name} {count}", field.name, count > limits.list_limit(field.name),
                    functools.partial(_nested, above, path, field, functools.partial(_list_of, field, path, count)),
                )  # fmt: skip
            repeated = functools.partial(_repeated, field, path, limits.list_limit(field.name))
            yield _Size(
                f"{name} repeated", field.name, False, functools.partial(_nested, above, path, field, repeated)
            )
        if _is_text(field):
            limit = limits.text_limit(field.name)
            for size in (1, limit, limit + 1, far_bytes):
                one_text = functools.partial(_text, field, size)
                text: Callable[[str], Any] = functools.partial(_in_list, one_text) if field.is_repeated else one_text
                yield _Size(
                    f"{name} of {size} bytes", field.name, size > limit,
                    functools.partial(_nested, above, path, field, text),
                )  # fmt: skip
        elif field.name == "pagination":
            for page in ({"pageNumber": 1, "showNumber": 2**31 - 1}, {"pageNumber": 2**31 - 1, "showNumber": 1000}):
                yield _Size(
                    f"{name} {page['pageNumber']}", field.name, False,
                    functools.partial(_nested, above, path, field, functools.partial(_same, page)),
                )  # fmt: skip
        elif holder is not None and holder.file.name != _WRAPPERS_FILE and field not in above:
            yield from _sizes(holder, path, far_bytes, above=above_too)


def _is_text(field: Any) -> bool:
    holder = field.message_type
    if holder is not None and holder.file.name == _WRAPPERS_FILE:
        field = holder.fields_by_name["value"]
    return field.type in _TEXTS


def _counts(field: Any, far_bytes: int) -> Sequence[int]:
    limit = limits.list_limit(field.name)
    return (1, limit, limit + 1, max(PARSED_ELEMENTS, limit + 2), far_bytes // 4)


def _nested(above: tuple[Any, ...], path: str, field: Any, make: Callable[[str], Any], salt: str) -> dict[str, Any]:
    """The request whose field, below those above, has this value. All other fields are such that they pass checks."""
    value, inner = make(salt), field
    for holder in above[::-1]:
        value = {**_filled(holder.message_type, path, salt), inner.name: value}
        value, inner = [value] if holder.is_repeated else value, holder
    return {**_filled(inner.containing_type, path, salt), inner.name: value}


def _same(value: Any, salt: str) -> Any:
    return value


def _text(field: Any, size: int, salt: str) -> str:
    """It differs each time, so that a changed text is a change."""
    holder = field.message_type
    value_field = holder.fields_by_name["value"] if holder is not None else field
    if value_field.type == FieldDescriptor.TYPE_BYTES:
        return base64.b64encode(b"x" * size).decode()
    return (salt + "x" * size)[:size]


def _in_list(make: Callable[[str], Any], salt: str) -> list[Any]:
    return [make(salt)]


def _list_of(field: Any, path: str, count: int, salt: str) -> list[Any]:
    if count <= limits.list_limit(field.name) + 1:
        return [_element(field, path, number, salt) for number in range(count)]
    # It is refused for its length, so that its elements may be the same.
    if count <= PARSED_ELEMENTS:
        return [_element(field, path, 1, salt)] * count
    return [{} if field.message_type is not None else "x" if field.type in _TEXTS else 1] * count


def _repeated(field: Any, path: str, count: int, salt: str) -> list[Any]:
    return [_element(field, path, 1, salt)] * count


def _map_of(holder: Any, count: int, salt: str) -> dict[str, Any]:
    kind = holder.fields_by_name["value"]
    value: Any = {} if kind.message_type is not None else kind.default_value
    return dict.fromkeys((f"k{number}" for number in range(count)), value)


def _element(field: Any, path: str, number: int, salt: str) -> Any:
    if field.message_type is not None:
        return _filled(field.message_type, path, salt, number=number)
    if field.type in _TEXTS:
        return _id(field.name, path, salt, number)
    return number + 1


def _id(name: str, path: str, salt: str, number: int) -> str:
    """One of the attacker's thousand chats, groups and users, or a new user."""
    if "onversationID" in name:
        return f"si_{ATTACKER}_x{number}"
    if "groupID" in name:
        return f"g{number}"
    return f"n{salt}{number}" if path == "/user/user_register" else f"x{number}"


NUMBERS: Mapping[str, int] = {
    "platformID": 5, "mutedSeconds": 60, "hasReadSeq": 1, "genre": 1, "sessionType": 1, "contentType": 101,
    "groupType": 2, "begin": 1, "end": 10, "num": 10, "count": 500,
}  # fmt: skip
FRESH_GROUPS: Mapping[str, bool] = {
    "/group/dismiss_group": True, "/group/kick_group": True, "/group/invite_user_to_group": False,
}  # fmt: skip
"""Routes that undo themselves, so that each call needs a group of its own: whether it has members."""


def _filled(descriptor: Any, path: str, salt: str, *, number: int | None = None) -> dict[str, Any]:
    """The single fields of a message, such that it passes the checks. With a number, ids are those of that number."""
    found: dict[str, Any] = {}
    names = descriptor.fields_by_name
    for field in descriptor.fields:
        name = field.name
        if name == "pagination":
            found[name] = {"pageNumber": 1, "showNumber": 1000}
        elif field.is_repeated:
            continue
        elif field.message_type is not None:
            if field.message_type.file.name != _WRAPPERS_FILE and field.message_type is not descriptor:
                found[name] = _filled(field.message_type, path, salt, number=number)
        elif name == "groupID":
            if path in FRESH_GROUPS:
                found[name] = fresh_group_id(salt)
            elif "sessionType" not in names and "groupType" not in names:
                found[name] = CROWD if number is None else f"g{number}"
        elif name in NUMBERS:
            found[name] = NUMBERS[name]
        elif field.type == FieldDescriptor.TYPE_BYTES:
            found[name] = base64.b64encode(b'{"content":"x"}').decode()
        elif field.type == FieldDescriptor.TYPE_STRING:
            found[name] = _filled_text(name, path, salt, number)
    return found


def _filled_text(name: str, path: str, salt: str, number: int | None) -> str:
    if number is not None and ("ID" in name):
        return _id(name, path, salt, number)
    if name in ("recvID", "toUserID", "userID2"):
        return "x1"
    if name.lower().endswith("userid") or name in ("sendID", "userID1"):
        return "x1" if path.startswith("/auth/") else ATTACKER  # The attacker's own token stays valid.
    if name == "conversationID":
        return f"si_{ATTACKER}_x1"
    return f"u{salt}"


def fresh_group_id(salt: str) -> str:
    return f"fresh{salt}"


# HTTP.


def _calls() -> Iterator[Attack]:
    for route in ROUTES:
        if route.handler is None:
            continue
        if route.request is None:
            path = f"{route.path}?{'x' * 8000}"
            yield Attack(f"{route.method} {route.path}", Called(path, _nothing, "", route.method))
        elif is_wire(route.request):
            honest = functools.partial(_json, functools.partial(_filled, route.request.DESCRIPTOR, route.path))
            yield Attack(f"{route.path}", Called(route.path, honest, _caller(route)))
            for size in _sizes(route.request.DESCRIPTOR, route.path, BODY_BYTES):
                yield Attack(f"{route.path} {size.name}", _call(route, size))
        else:
            yield from _calls_of_struct(route, route.request)


def _nothing(salt: str) -> bytes:
    return b""


def _call(route: Route, size: _Size) -> Called:
    members: list[str] | None = None
    if route.path in FRESH_GROUPS and size.field != "groupID":
        members = [f"x{number}" for number in range(CROWD_SIZE - 1)] if FRESH_GROUPS[route.path] else []
    return Called(
        route.path, functools.partial(_json, size.value), _caller(route), route.method,
        refused_field=size.field if size.is_refused else "", max_body_bytes=route.max_body_bytes, fresh_group=members,
    )  # fmt: skip


def _json(make: Callable[[str], dict[str, Any]], salt: str) -> bytes:
    return json.dumps(make(salt)).encode()


def _caller(route: Route) -> str:
    return {"anyone": "", "admin": "imAdmin"}.get(route.who.kind, ATTACKER)


def _calls_of_struct(route: Route, kind: Any) -> Iterator[Attack]:
    """Of plain JSON objects."""
    filled = {
        "sendID": ATTACKER, "recvID": "x1", "content": {"content": "x"}, "contentType": 101, "sessionType": 1,
    } if "sendID" in kind.__struct_fields__ else {}  # fmt: skip
    for field in msgspec.structs.fields(kind):
        if field.type is str:
            limit = limits.text_limit(field.encode_name)
            for size in (1, limit, limit + 1, BODY_BYTES):
                body = json.dumps({**filled, field.encode_name: "x" * size}).encode()
                yield Attack(
                    f"{route.path} {field.encode_name} of {size} bytes",
                    Called(
                        route.path, functools.partial(_same, body), _caller(route), route.method,
                        refused_field=field.encode_name if size > limit else "", max_body_bytes=route.max_body_bytes,
                    ),
                )  # fmt: skip
    if "content" in kind.__struct_fields__:
        contents = {
            "a text at its limit": {"content": "x" * 500_000},
            "a text past its limit": {"content": "x" * (limits.CONTENT_LIMIT_BYTES + 1)},
            "99,000 numbers": {"content": "x", "x": [1] * 99_000},
            "99,000 objects": {"content": "x", "x": [{}] * 99_000},
            "99,000 keys": {"content": "x", **{f"k{number}": 1 for number in range(99_000)}},
            "200,000 numbers": {"content": "x", "x": [1] * 200_000},
        }
        for name, content in contents.items():
            body = json.dumps({**filled, "content": content}).encode()
            yield Attack(f"{route.path} {name}", Called(route.path, functools.partial(_same, body), _caller(route)))


DEAR: Mapping[str, Callable[[], bytes]] = {
    "objects under an unknown key": lambda: b'{"x":[' + b"{}," * 500_000 + b"{}]}",
    "fewer objects": lambda: b'{"x":[' + b"{}," * 15_900 + b"{}]}",
    "nulls": lambda: b'{"reqList":[' + b"null," * 15_900 + b"null]}",
    "unknown keys": lambda: b"{" + b",".join(b'"k%d":1' % number for number in range(300_000)) + b"}",
    "fewer unknown keys": lambda: b"{" + b",".join(b'"k%d":1' % number for number in range(15_900)) + b"}",
    "bytes that are no utf-8": lambda: b'{"x":"' + b"\xff" * (2 * MIB - 100) + b'"}',
    "fewer bytes that are no utf-8": lambda: b'{"x":"' + b"\xff" * 250_000 + b'"}',
    "escapes": lambda: b'{"x":"' + b"\\n" * (MIB - 100) + b'"}',
    "fewer escapes": lambda: b'{"x":"' + b"\\n" * 99_000 + b'"}',
    "escapes of characters": lambda: b'{"userIDs":["' + b"\\u0041" * 300_000 + b'"]}',
    "halves of pairs": lambda: b'{"x":"' + b"\\ud800" * 300_000 + b'"}',
    "fewer halves of pairs": lambda: b'{"x":"' + b"\\ud800" * 15_900 + b'"}',
    "texts that nearly match": lambda: b'{"x":"\\n' + b"u" * (2 * MIB - 100) + b'"}',
    "deep": lambda: b'{"x":' + b"[" * (2 * MIB - 100),
    "spaces": lambda: b'{"x":1' + b" " * (2 * MIB - 100) + b"}",
    "numbers": lambda: b'{"x":' + b"1" * (2 * MIB - 100) + b"}",
    "rubbish": lambda: random.Random(1).randbytes(2 * MIB - 100),
    "twelve megabytes": lambda: b" " * (12 * MIB),
    "sixteen megabytes of small numbers": lambda: b'{"token":[' + b"0," * (8 * MIB - 20) + b"0]}",
}
DEAR_PATHS = {
    "/user/get_users_info": ATTACKER, "/group/get_incremental_group_members_batch": ATTACKER, "/auth/parse_token": "",
    "/msg/send_msg": "imAdmin",
}  # fmt: skip
ADMINS_ONLY = "/user/user_register"


def _bodies() -> Iterator[Attack]:
    for name, body in DEAR.items():
        make = functools.partial(_made, body)
        for path, caller in DEAR_PATHS.items():
            yield Attack(f"{path} {name}", Called(path, make, caller))
        yield Attack(f"{ADMINS_ONLY} {name} by no admin", Called(ADMINS_ONLY, make))


def _made(make: Callable[[], bytes], salt: str) -> bytes:
    return make()


def _pages() -> Iterator[Attack]:
    """Answers that are long: a thousand users with the longest texts are eight megabytes."""
    ids = [f"long{number}" for number in range(1000)]
    body = json.dumps({"userIDs": ids}).encode()
    make = functools.partial(_same, body)
    for path in ("/user/get_users", "/user/get_all_users_uid"):
        second = json.dumps({"pagination": {"pageNumber": 2, "showNumber": 1000}}).encode()
        yield Attack(f"{path}, a long page", Called(path, functools.partial(_same, second)))
    yield Attack("a long answer", Called("/user/get_users_info", make))
    yield Attack("a long answer, compressed", Called("/user/get_users_info", make, accepts_gzip=True))


# WebSocket.


def _requests() -> Iterator[Attack]:
    for number, row in REQUESTS.items():
        if row.payload is None:
            continue
        for size in _sizes(row.payload.DESCRIPTOR, str(int(number)), FRAME_BYTES):
            data = functools.partial(_serialized, size.value, row.payload)
            yield Attack(f"{int(number)} {size.name}", Asked(int(number), data, size.field if size.is_refused else ""))
        yield from _lists_of_lists(int(number), row)


def _serialized(make: Callable[[str], dict[str, Any]], kind: type[Message], salt: str) -> bytes:
    return from_dict(make(salt), kind).SerializeToString()


def _lists_of_lists(number: int, row: RequestKind) -> Iterator[Attack]:
    """A list in each element of a list: as many as the limits allow together, and past them."""
    assert row.payload is not None
    for outer in row.payload.DESCRIPTOR.fields:
        if not outer.is_repeated or outer.message_type is None or outer.message_type.GetOptions().map_entry:
            continue
        for inner in outer.message_type.fields:
            if inner.is_repeated and inner.message_type is None and inner.type not in _TEXTS:
                for many, few in ((1000, 10), (10, 1000), (100, 700), (1000, 700)):
                    is_refused = many * few > 10_000
                    make = functools.partial(_crossed, row, outer, inner, many, few)
                    yield Attack(
                        f"{number} {outer.name} {many} x {inner.name} {few}",
                        Asked(number, make, outer.name if is_refused else ""),
                    )


def _crossed(row: RequestKind, outer: Any, inner: Any, many: int, few: int, salt: str) -> bytes:
    assert row.payload is not None
    seqs = list(range(1, few + 1)) if many * few <= 10_000 else [1] * few
    elements = [
        {**_filled(outer.message_type, "", salt, number=number), inner.name: seqs}
        for number in range(many)
    ]
    if many * few > 100_000:  # Ids of one letter, so that a frame holds them.
        elements = [{"conversationID": "x", inner.name: [1] * few}] * many
    request = {**_filled(row.payload.DESCRIPTOR, "", salt), outer.name: elements}
    return from_dict(request, row.payload).SerializeToString()


JSON_FRAMES: Mapping[str, Callable[[], bytes]] = {
    "objects in an unknown key": lambda: b'{"x":[' + b",".join([b"{}"] * 300_000) + b'],"reqIdentifier":1001}',
    "numbers in an unknown key": lambda: b'{"x":[' + b",".join([b"1"] * 500_000) + b'],"REQIDENTIFIER":1001}',
    "unknown keys": lambda: b"{" + b",".join([b'"x":0'] * 170_000) + b',"SENDID":"a"}',
    "nested lists": lambda: b'{"x":' + b"[" * 900 + b"]" * 900 + b',"y":[' + b",".join([b"[]"] * 300_000) + b"]}",
    "deep": lambda: b'{"x":' + b"[" * (MIB - 100),
    "spaces": lambda: b" " * (MIB - 100),
}


def _frames() -> Iterator[Attack]:
    for name, data in JSON_FRAMES.items():
        yield Attack(f"JSON frame: {name}", Framed(data, CloseCode.ABNORMAL_CLOSURE))
    zeros = functools.partial(bytes, 40 * MIB)
    yield Attack("compressed frame: 40 MiB of zeros", Framed(zeros, CloseCode.ABNORMAL_CLOSURE))
    rubbish = functools.partial(random.Random(2).randbytes, 51_000)
    yield Attack("compressed frame: rubbish", Framed(rubbish, CloseCode.ABNORMAL_CLOSURE, is_packed=False))
    large = functools.partial(random.Random(3).randbytes, 2 * MIB)
    yield Attack("a frame past its limit", Framed(large, CloseCode.MESSAGE_TOO_BIG, is_packed=False))


def _floods() -> Iterator[Attack]:
    """Every kind of frame, as fast as one connection can."""
    ping = b'{"type":"ping","body":1}'
    controls = {
        "empty pings": (b"", frame(Opcode.PING)),
        "full pings": (b"", frame(Opcode.PING, b"x" * 125)),
        "pongs": (b"", frame(Opcode.PONG)),
        "text pings": (b"", frame(Opcode.TEXT, ping)),
        "empty fragments": (frame(Opcode.BINARY, fin=False), frame(Opcode.CONT, fin=False)),
        "fragments of a byte": (frame(Opcode.BINARY, fin=False), frame(Opcode.CONT, b"x", fin=False)),
    }
    for name, (first, repeated) in controls.items():
        yield Attack(f"flood of {name}", Flooded(first, functools.partial(_same, repeated), is_control=True))
    answered = {
        "tiny requests": _request(RequestId.SEND_SIGNAL),
        "requests of the newest seqs": _request(RequestId.NEWEST_SEQS, {"userID": ATTACKER}),
        "watches of nobody": _request(RequestId.PRESENCE, {}),
        "requests that cannot be decoded": _request(RequestId.PULL_BY_RANGE, data=b"\xff\xff"),
    }
    for name, repeated in answered.items():
        yield Attack(f"flood of {name}", Flooded(b"", functools.partial(_same, repeated), answers=2000))
    yield Attack("flood of messages", Flooded(b"", _message_to("x1"), answers=2000, frames=4000))
    yield Attack("flood of messages to a crowd", Flooded(b"", _message_to(CROWD), answers=2000, frames=4000))
    others = {
        "large fragments": (frame(Opcode.BINARY, fin=False), frame(Opcode.CONT, b"x" * 200, fin=False)),
        "empty texts": (b"", frame(Opcode.TEXT)),
        "texts that are no JSON": (b"", frame(Opcode.TEXT, b"x")),
        "texts of an unknown type": (b"", frame(Opcode.TEXT, b'{"type":"x"}')),
        "empty binaries": (b"", frame(Opcode.BINARY)),
        "binaries that are no request": (b"", frame(Opcode.BINARY, b"x")),
        "requests of an unknown number": (b"", _request(4321)),
        "frames with a reserved bit": (b"", b"\xf2\x80" + bytes(4)),
        "frames without a mask": (b"", b"\x82\x00"),
    }
    for name, (first, repeated) in others.items():
        yield Attack(f"flood of {name}", Flooded(first, functools.partial(_same, repeated)))


def _request(number: int, value: dict[str, Any] | None = None, *, data: bytes = b"", incr: str = "1") -> bytes:
    payload = REQUESTS[number].payload if number in REQUESTS else None
    if value is not None and payload is not None:
        data = from_dict(value, payload).SerializeToString()
    request = Request(number, send_id=ATTACKER, operation_id="o", msg_incr=incr, data=data)
    return frame(Opcode.BINARY, codec("js", False).encode_request(request))


def _message_to(receiver: str) -> Callable[[int], bytes]:
    def message(number: int) -> bytes:
        salt = f"{receiver}-{random.getrandbits(64):x}-{number}"
        is_group = receiver == CROWD
        value = {
            "sendID": ATTACKER, "contentType": 101, "content": base64.b64encode(b'{"content":"x"}').decode(),
            "sessionType": 3 if is_group else 1, "groupID" if is_group else "recvID": receiver, "clientMsgID": salt,
        }  # fmt: skip
        return _request(RequestId.SEND_MESSAGE, value, incr=str(number))

    return message


def packed(attack: Framed) -> bytes:
    return gzip.compress(attack.frame()) if attack.is_packed else attack.frame()
