"""`greenroom serve` as a process of its own, on free ports, with a data directory that outlives it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from pathlib import Path

from greenroom.transport.client.api import Api

SECRET = "a secret of the tests, long enough"
START_LIMIT_S = 20.0
STOP_LIMIT_S = 15.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """Started, stopped and killed at will; the ports and the data stay the same."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.ws_port = free_port()
        self.api_port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self._log = data_dir.parent / f"{data_dir.name}.log"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.ws_port}"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def log(self) -> str:
        """All that the server wrote so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    async def start(self) -> None:
        """Until both ports take connections."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "greenroom",
                "serve",
                "--data-dir",
                os.fspath(self.data_dir),
                "--ws-port",
                str(self.ws_port),
                "--api-port",
                str(self.api_port),
                stdout=log,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
                env={**os.environ, "GREENROOM_SECRET": SECRET},
                cwd=self.data_dir.parent,
            )
        deadline = time.monotonic() + START_LIMIT_S
        for port in (self.ws_port, self.api_port):
            while not await _takes_connections(port):
                if self._process.returncode is not None or time.monotonic() > deadline:
                    raise AssertionError(f"the server did not start:\n{self.log}")
                await asyncio.sleep(0.02)

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """SIGKILL."""
        await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        try:
            async with asyncio.timeout(STOP_LIMIT_S):
                return await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise AssertionError(f"the server did not stop on {number.name}:\n{self.log}") from None

    async def register(self, *user_ids: str) -> None:
        async with Api(self.api_url) as api:
            await api.register(*user_ids, admin_token=await api.admin_token(SECRET), missing_only=True)

    async def token(self, user_id: str, *, platform_id: int = 5) -> str:
        async with Api(self.api_url) as api:
            return await api.user_token(user_id, platform_id=platform_id, admin_token=await api.admin_token(SECRET))


async def _takes_connections(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


__all__ = ["SECRET", "ServerProcess", "free_port"]
