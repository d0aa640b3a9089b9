"""The Autobahn cases against the WebSocket layer, except 9 (speed), 12 and 13 (permessage-deflate, which is off)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest
from kosoku import FailureError, run_fuzzingclient

from greenroom.tests.transport.gateway.echo import Echo, EchoServer

if TYPE_CHECKING:
    from greenroom.persistence.settings import WebSocketSettings


@pytest.mark.ci
@pytest.mark.timeout(120)
async def test_autobahn(settings: WebSocketSettings) -> None:
    settings = msgspec.structs.replace(settings, max_frame_bytes=16 * 1024 * 1024)
    loop = asyncio.get_running_loop()
    server = EchoServer(loop, settings)
    listening = await loop.create_server(lambda: Echo(server), "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    failed: list[str] = []
    try:
        await run_fuzzingclient(
            f"ws://127.0.0.1:{port}", exclude_cases=["9.*", "12.*", "13.*"], concurrency=8
        )
    except FailureError as error:
        failed = [result.case_id for result in error.results if not result.passed]
    finally:
        listening.close()
        server.wheel.stop()
    # 7.1.5: a close frame inside a fragmented message; websockets documents that it answers 1002.
    assert failed == ["7.1.5"]
