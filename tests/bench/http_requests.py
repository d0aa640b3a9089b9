"""HTTP requests per CPU-second of the server: get_server_time over keep-alive connections, entities stubbed.

    .venv/bin/python tests/bench/http_requests.py [--bare]     # --bare: uvicorn with an app that does nothing
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import uvloop

from greenroom.tests.kit.http_kit import http_stage

CONNECTIONS, REQUESTS = 8, 2_000


async def _bare(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


async def _client(port: int, request: bytes) -> None:
    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(REQUESTS):
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
        writer.close()

    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))


async def main(*, bare: bool) -> None:
    async with http_stage() as stage:
        port = int(str(stage.client.base_url).rstrip("/").rpartition(":")[2])
        if bare:
            assert stage.server._server is not None
            stage.server._server.config.loaded_app = _bare
        request = (
            "POST /msg/get_server_time HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            f"operationID: op-123456789\r\ntoken: {stage.token('u1')}\r\ncontent-length: 2\r\n\r\n{{}}"
        ).encode()
        code = "import greenroom.tests.bench.http_requests as bench; "
        code += f"import uvloop; uvloop.run(bench._client({port}, {request!r}))"
        started, cpu = time.monotonic(), time.process_time()
        client = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        await client.wait()
        cpu, wall = time.process_time() - cpu, time.monotonic() - started
        total = CONNECTIONS * REQUESTS
        rate = f"{total / cpu:,.0f} requests per CPU-second ({cpu / total * 1e6:.0f} us)"
        print(f"{rate}, {total / wall:,.0f} a second")


if __name__ == "__main__":
    uvloop.run(main(bare="--bare" in sys.argv))
