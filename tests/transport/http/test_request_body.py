"""Bodies and the room for all of them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from greenroom.actors.errors import ArgsError
from greenroom.tests.kit.http_kit import until
from greenroom.transport.http.http_request import ClientDisconnected, HttpRequest
from greenroom.transport.http.request_body import Bodies, BodiesFull, chunks, discard, read_whole

if TYPE_CHECKING:
    from uvicorn._types import HTTPScope


class Sender:
    """The client's side of a body."""

    def __init__(self, *pieces: bytes, ends: bool = True) -> None:
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        for number, piece in enumerate(pieces):
            self.send(piece, more=not ends or number + 1 < len(pieces))
        headers = [(b"transfer-encoding", b"chunked")]
        scope = {"method": "PUT", "path": "/", "query_string": b"", "headers": headers}
        self.request = HttpRequest(cast("HTTPScope", scope), cast("Any", self.events.get))

    def send(self, piece: bytes, *, more: bool = True) -> None:
        self.events.put_nowait({"type": "http.request", "body": piece, "more_body": more})

    def go(self) -> None:
        self.events.put_nowait({"type": "http.disconnect"})


async def test_body_in_parts_up_to_the_limit() -> None:
    bodies = Bodies(100)
    body, room = await read_whole(Sender(b"x" * 30, b"y" * 20).request, bodies, 50, 60)
    assert body == b"x" * 30 + b"y" * 20
    assert (bodies.size_bytes, room.size, bodies.arriving) == (50, 50, set())
    room.release()
    assert bodies.size_bytes == 0


async def test_body_in_parts_past_the_limit() -> None:
    bodies = Bodies(100)
    with pytest.raises(ArgsError, match="longer than 50 bytes"):
        await read_whole(Sender(b"x" * 30, b"y" * 21).request, bodies, 60, 50)
    assert (bodies.size_bytes, bodies.arriving) == (0, set())


async def test_body_that_is_whole_keeps_its_room() -> None:
    bodies = Bodies(100)
    _, first = await read_whole(Sender(b"x" * 60).request, bodies, 1000)
    with pytest.raises(BodiesFull):
        await read_whole(Sender(b"x" * 50).request, bodies, 1000)
    assert bodies.size_bytes == 60
    first.release()
    _, second = await read_whole(Sender(b"x" * 50).request, bodies, 1000)
    assert bodies.size_bytes == 50
    second.release()


async def test_largest_that_still_comes_gives_way() -> None:
    bodies = Bodies(100)
    sizes = (30, 60, 5)
    senders = [Sender(b"x" * size, ends=False) for size in sizes]
    reading = [asyncio.create_task(read_whole(sender.request, bodies, 1000)) for sender in senders]
    await until(lambda: bodies.size_bytes >= sum(sizes))
    _, room = await read_whole(Sender(b"x" * 40).request, bodies, 1000)
    with pytest.raises(BodiesFull):
        await reading[1]
    assert bodies.size_bytes == 30 + 5 + 40
    for sender in (senders[0], senders[2]):
        sender.send(b"", more=False)
    for size, task in ((30, reading[0]), (5, reading[2])):
        body, other = await task
        assert len(body) == size
        other.release()
    room.release()
    assert (bodies.size_bytes, bodies.arriving) == (0, set())


async def test_largest_of_all_is_refused_itself() -> None:
    bodies = Bodies(100)
    sender = Sender(b"x" * 40, ends=False)
    reading = asyncio.create_task(read_whole(sender.request, bodies, 1000))
    await until(lambda: bool(bodies.size_bytes))
    with pytest.raises(BodiesFull):
        await read_whole(Sender(b"x" * 50, b"x" * 50).request, bodies, 1000)
    assert bodies.size_bytes == 40
    sender.go()
    with pytest.raises(ClientDisconnected):
        await reading
    assert (bodies.size_bytes, bodies.arriving) == (0, set())


async def test_bodies_of_one_user_take_room_from_each_other() -> None:
    bodies = Bodies(100, user_limit_bytes=50)
    sender = Sender(b"x" * 40, ends=False)
    reading = asyncio.create_task(read_whole(sender.request, bodies, 1000, user_id="a"))
    await until(lambda: bool(bodies.size_bytes))
    _, other = await read_whole(Sender(b"x" * 30).request, bodies, 1000, user_id="b")
    assert bodies.size_bytes == 70
    _, own = await read_whole(Sender(b"x" * 20).request, bodies, 1000, user_id="a")
    with pytest.raises(BodiesFull):
        await reading
    with pytest.raises(BodiesFull):
        await read_whole(Sender(b"x" * 31).request, bodies, 1000, user_id="a")
    assert bodies.size_bytes == 50
    for room in (own, other):
        room.release()
        room.release()
    assert (bodies.size_bytes, bodies.arriving, bodies._users) == (0, set(), {})


async def test_reader_that_is_cancelled_by_others() -> None:
    bodies = Bodies(100)
    reading = asyncio.create_task(read_whole(Sender(b"x", ends=False).request, bodies, 1000))
    await until(lambda: bool(bodies.size_bytes))
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert (bodies.size_bytes, bodies.arriving) == (0, set())


async def test_pieces_and_what_is_left_of_them() -> None:
    sender = Sender(b"ab", b"", b"c")
    assert [piece async for piece in chunks(sender.request)] == [b"ab", b"c"]
    sender = Sender(b"ab", b"c")
    assert await anext(chunks(sender.request)) == b"ab"
    await discard(sender.request)
    assert not sender.request.more_body
    sender = Sender(b"ab", ends=False)
    sender.go()
    await discard(sender.request)
    sender.go()
    with pytest.raises(ClientDisconnected):
        await anext(chunks(sender.request))
