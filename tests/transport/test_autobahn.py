"""The Autobahn cases against the shell. Left out: 9 (speed), 12 and 13 (permessage-deflate, which is off)."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import msgspec
import pytest
from greenroom.persistence.settings import WebSocketSettings
from greenroom.transport.shell import FrameProtocol, Shell
from kosoku import FailureError, run_fuzzingclient


def echo_class() -> type[FrameProtocol]:
    spec = importlib.util.spec_from_file_location("echo", Path(__file__).with_name("echo.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Echo


@pytest.mark.ci
@pytest.mark.timeout(120)
async def test_autobahn(settings: WebSocketSettings) -> None:
    settings = msgspec.structs.replace(settings, max_frame_bytes=16 * 1024 * 1024)
    loop = asyncio.get_running_loop()
    shell = Shell(loop, settings)
    echo = echo_class()
    server = await loop.create_server(lambda: echo(shell), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    failed: list[str] = []
    try:
        await run_fuzzingclient(f"ws://127.0.0.1:{port}", exclude_cases=["9.*", "12.*", "13.*"], concurrency=8)
    except FailureError as error:
        failed = [result.case_id for result in error.results if not result.passed]
    finally:
        server.close()
        shell.wheel.stop()
    # 7.1.5: a close frame inside a fragmented message; websockets documents that it answers 1002.
    assert failed == ["7.1.5"]
