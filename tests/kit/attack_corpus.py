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
from websockets.frames import CloseCode, Frame, Opcode

from greenroom.actors.rules import limits
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.openim_json import from_dict
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.kit.attack_sizes import (
    ATTACKER,
    CROWD,
    CROWD_SIZE,
    FRESH_GROUPS,
    TEXT_TYPES,
    Size,
    filled,
    same,
    sizes,
)
from greenroom.transport.envelope.codec import Request, codec
from greenroom.transport.gateway.requests import REQUESTS
from greenroom.transport.http.routes import ROUTES
from greenroom.transport.http.table import is_wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from google.protobuf.message import Message

    from greenroom.transport.gateway.requests import RequestKind
    from greenroom.transport.http.table import Route

__all__ = ["FLOOD_BYTES", "MIB", "Asked", "Attack", "Called", "Flooded", "Framed", "corpus", "frame", "packed"]

MIB = 2**20
BODY_BYTES = 2 * MIB - 1000
"""The size of the longest body that most routes accept."""
FRAME_BYTES = 740_000
"""The size of the longest request that a compressed frame can hold, as base64 in JSON."""
FLOOD_BYTES = 2 * MIB


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
    is_answered: bool = False
    """Whether it must be carried out."""
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


# HTTP.


def _calls() -> Iterator[Attack]:
    for route in ROUTES:
        if route.handler is None:
            continue
        if route.request is None:
            path = f"{route.path}?{'x' * 8000}"
            yield Attack(f"{route.method} {route.path}", Called(path, _nothing, "", route.method))
        elif is_wire(route.request):
            honest = functools.partial(_json, functools.partial(filled, route.request.DESCRIPTOR, route.path))
            yield Attack(f"{route.path}", Called(route.path, honest, _caller(route)))
            for size in sizes(route.request.DESCRIPTOR, route.path, BODY_BYTES):
                yield Attack(f"{route.path} {size.name}", _call(route, size))
        else:
            yield from _calls_of_struct(route, route.request)


def _nothing(salt: str) -> bytes:
    return b""


def _call(route: Route, size: Size) -> Called:
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


def _calls_of_struct(route: Route, kind: type[msgspec.Struct]) -> Iterator[Attack]:
    """Attacks on a route whose request is a plain JSON object."""
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
                        route.path, functools.partial(same, body), _caller(route), route.method,
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
            yield Attack(f"{route.path} {name}", Called(route.path, functools.partial(same, body), _caller(route)))


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
    make = functools.partial(same, body)
    for path in ("/user/get_users", "/user/get_all_users_uid"):
        second = json.dumps({"pagination": {"pageNumber": 2, "showNumber": 1000}}).encode()
        yield Attack(f"{path}, a long page", Called(path, functools.partial(same, second)))
    yield Attack("a long answer", Called("/user/get_users_info", make))
    yield Attack("a long answer, compressed", Called("/user/get_users_info", make, accepts_gzip=True))


# WebSocket.


def _requests() -> Iterator[Attack]:
    for number, row in REQUESTS.items():
        if row.payload is None:
            continue
        for size in sizes(row.payload.DESCRIPTOR, str(int(number)), FRAME_BYTES):
            data = functools.partial(_serialized, size.value, row.payload)
            is_answered = size.field == row.list_field and size.elements == limits.LIST_LIMIT
            refused = size.field if size.is_refused else ""
            yield Attack(f"{int(number)} {size.name}", Asked(int(number), data, is_answered, refused))
        yield from _lists_of_lists(int(number), row)


    watched = [f"user{number:060d}" for number in range(2000)]
    value = {"subscribeUserID": watched, "unsubscribeUserID": watched}
    data = functools.partial(_serialized, functools.partial(same, value), sdkws_pb2.SubUserOnlineStatus)
    yield Attack("2005 of 2,000 users", Asked(RequestId.PRESENCE, data, is_answered=True))


def _serialized(make: Callable[[str], dict[str, Any]], kind: type[Message], salt: str) -> bytes:
    return from_dict(make(salt), kind).SerializeToString()


def _lists_of_lists(number: int, row: RequestKind) -> Iterator[Attack]:
    """A list in each element of a list: as many as the limits allow together, and past them."""
    assert row.payload is not None
    for outer in row.payload.DESCRIPTOR.fields:
        if not outer.is_repeated or outer.message_type is None or outer.message_type.GetOptions().map_entry:
            continue
        for inner in outer.message_type.fields:
            if inner.is_repeated and inner.message_type is None and inner.type not in TEXT_TYPES:
                for many, few in ((1000, 10), (10, 1000), (100, 700), (1000, 700)):
                    is_refused = many * few > 10_000
                    make = functools.partial(_crossed, row, outer, inner, many, few)
                    yield Attack(
                        f"{number} {outer.name} {many} x {inner.name} {few}",
                        Asked(number, make, not is_refused, outer.name if is_refused else ""),
                    )


def _crossed(row: RequestKind, outer: Any, inner: Any, many: int, few: int, salt: str) -> bytes:
    assert row.payload is not None
    seqs = list(range(1, few + 1)) if many * few <= 10_000 else [1] * few
    elements = [
        {**filled(outer.message_type, "", salt, number=number), inner.name: seqs}
        for number in range(many)
    ]
    if many * few > 100_000:  # Ids of one letter, so that a frame holds them.
        elements = [{"conversationID": "x", inner.name: [1] * few}] * many
    request = {**filled(row.payload.DESCRIPTOR, "", salt), outer.name: elements}
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
        yield Attack(f"flood of {name}", Flooded(first, functools.partial(same, repeated), is_control=True))
    answered = {
        "tiny requests": _request(RequestId.SEND_SIGNAL),
        "requests of the newest seqs": _request(RequestId.NEWEST_SEQS, {"userID": ATTACKER}),
        "watches of nobody": _request(RequestId.PRESENCE, {}),
        "requests that cannot be decoded": _request(RequestId.PULL_BY_RANGE, data=b"\xff\xff"),
    }
    for name, repeated in answered.items():
        answers = 100 if "newest" in name else 2000  # The newest seqs are a long answer.
        yield Attack(f"flood of {name}", Flooded(b"", functools.partial(same, repeated), answers=answers))
    yield Attack("flood of messages", Flooded(b"", _message_to("x1"), answers=1000, frames=2000))
    yield Attack("flood of messages to a crowd", Flooded(b"", _message_to(CROWD), answers=1000, frames=2000))
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
        yield Attack(f"flood of {name}", Flooded(first, functools.partial(same, repeated)))


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
