"""A gateway that takes on one request at a time: which requests wait, are refused, or begin all the same."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from greenroom.actors.wire.vocabulary import RequestId
from greenroom.persistence.settings import OverloadSettings
from greenroom.tests.transport.stage import Stage
from greenroom.transport.gateway.websocket import Phase

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from greenroom.persistence.settings import WebSocketSettings


@pytest.fixture
async def narrow(settings: WebSocketSettings) -> AsyncIterator[Stage]:
    stage = Stage(settings)
    stage.overload = OverloadSettings(answer_within_s=0.001, requests_floor=1, patience_s=0.05)
    async with stage:
        yield stage


async def test_sends_past_the_limit_are_refused(narrow: Stage) -> None:
    narrow.hold_sends = True
    async with await narrow.client("a") as first, await narrow.client("b") as second:
        await first.send_message("held")
        await narrow.until(lambda: len(narrow.held) == 1)
        asked = [await second.send_message(f"m{number}") for number in range(6)]
        refusals = [await second.receive() for _ in asked]
        assert [each.err_code for each in refusals] == [500] * 6
        assert narrow.admission.refused == 6
        assert len(narrow.sent) == 1
        narrow.release(1)
        assert (await first.receive()).err_code == 0
        # There is room again and the back-off is over, so its next send begins.
        narrow.hold_sends = False
        await second.send_message("again")
        assert (await second.receive()).err_code == 0
        assert narrow.admission.in_flight == 0


async def test_other_requests_are_begun_when_late(narrow: Stage) -> None:
    narrow.hold_sends = True
    async with await narrow.client("a") as first, await narrow.client("b") as second:
        await first.send_message("held")
        await narrow.until(lambda: len(narrow.held) == 1)
        await second.send_message("refused")
        await second.ask(RequestId.NEWEST_SEQS)
        answers = [await second.receive(), await second.receive()]
        assert [(each.req_identifier, each.err_code) for each in answers] == [(1003, 500), (1001, 0)]
        narrow.release(1)
        assert (await first.receive()).err_code == 0


async def test_connection_that_goes_gives_its_places_back(narrow: Stage) -> None:
    narrow.hold_sends = True
    async with await narrow.client("b") as second:
        async with await narrow.client("a") as first:
            await first.send_message("held")
            await narrow.until(lambda: len(narrow.held) == 1)
            await first.send_message("waits")
            await narrow.until(lambda: narrow.admission.waiting_count == 1)
        await narrow.until(lambda: narrow.admission.in_flight == narrow.admission.waiting_count == 0)
        narrow.hold_sends = False
        await second.send_message("heard")
        assert (await second.receive()).err_code == 0


async def test_stuck_reader_ends_at_its_bound(settings: WebSocketSettings) -> None:
    """Bytes that the transport holds count as much as frames that wait for it."""
    limit, size = 200_000, 10_000
    narrow = msgspec.structs.replace(settings, outbox_limit_bytes=limit)
    async with Stage(narrow) as stage, await stage.client("a") as client:
        client.socket.transport.pause_reading()
        (connection,) = stage.gateway.connections
        transport = connection._transport
        assert transport is not None
        most = pushed = 0
        while connection.phase is Phase.OPEN:
            stage.push("a", b"x" * size)
            pushed += 1
            await asyncio.sleep(0)
            most = max(most, transport.get_write_buffer_size() + connection.outbox._size)
        assert limit / 2 < most <= limit
        assert pushed * size > limit
        connection.abort()
