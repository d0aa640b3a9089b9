from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import uvloop

from greenroom.persistence.settings import WebSocketSettings
from greenroom.tests.transport.stage import Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_ON_BOTH_LOOPS = (
    "test_gateway.py",
    "test_answers_on_the_wire.py",
    "test_attacks.py",
    "test_bounded_protocol.py",
    "test_plain_rows.py",
    "test_server.py",
)


@pytest.fixture
def settings() -> WebSocketSettings:
    return WebSocketSettings(
        max_connections=100,
        connections_per_user=100,
        connections_per_token=30,
        max_frame_bytes=51_200,
        max_unfolded_bytes=1_048_576,
        requests_in_flight=4,
        outbox_limit_frames=256,
        outbox_limit_bytes=1_048_576,
        handshake_timeout_s=5.0,
        read_timeout_s=30.0,
        write_timeout_s=10.0,
        ping_interval_s=27.0,
        control_frames_per_s=1000.0,
        watched_users_limit=5,
    )


@pytest.fixture
async def stage(settings: WebSocketSettings) -> AsyncIterator[Stage]:
    async with Stage(settings) as stage:
        yield stage


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Sockets are served on both loops: they differ in when they write, pause and close."""
    if item.path.name in _ON_BOTH_LOOPS:
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return {"asyncio": asyncio.new_event_loop}
