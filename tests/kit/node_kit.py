"""A node as a user runs it: `greenroom serve` in a process of its own, on free ports and a folder of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from greenroom.transport.client.api import Api

__all__ = ["LIMITED", "NODE_PYTHON", "SECRET", "NodeProcess", "free_port"]

_END_LIMIT_S = 60.0
LIMITED = {"GREENROOM_LIMITS_EXEMPT_LOOPBACK": "false"}
"""A node's environment in which its default limits also apply to the clients of a test."""
SECRET = "a secret for the tests of a node"
_CHECKOUT = os.environ.get("NODE_UNDER_TEST", "")
"""Another checkout of Greenroom, with its own `.venv`, that runs the nodes instead of this one: so the test of a fault
can be seen to fail on the commit that has the fault."""
NODE_PYTHON = f"{_CHECKOUT}/.venv/bin/python" if _CHECKOUT else sys.executable
_START_LIMIT_S = 60.0
"""A start takes a second on an idle machine. Only a start that hangs should reach this limit."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class NodeProcess:
    """Start, kill and start again; the ports and the folder stay the same. `async with` starts it, and kills it if it
    still runs in the end."""

    def __init__(
        self,
        folder: Path,
        *,
        prefix: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        module: str = "greenroom",
        options: tuple[str, ...] = (),
        waits_for_ports: bool = True,
    ) -> None:
        self.folder = folder
        self.ws_port, self.api_port = free_port(), free_port()
        self.prefix = prefix
        """The command that runs the node, such as strace with its options."""
        self.env = env or {}
        self.module = module
        """The program that has the command `serve`."""
        self.options = options
        """Further options of `serve`. They may name other ports."""
        self.waits_for_ports = waits_for_ports
        self.process: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.close()

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.ws_port}"

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def writer(self) -> int:
        """The process id of the writer: the node's child, or the node itself."""
        assert self.process is not None
        tasks = Path(f"/proc/{self.process.pid}/task").iterdir()
        children = [int(child) for task in tasks for child in (task / "children").read_text().split()]
        return children[0] if children else self.process.pid

    @property
    def log(self) -> str:
        return (self.folder / "node.log").read_text(errors="replace")

    async def start(self) -> None:
        ports = ("--ws-port", str(self.ws_port), "--api-port", str(self.api_port))
        command = [
            *self.prefix, NODE_PYTHON, "-m", self.module, "serve", "--data-dir", str(self.data_dir),
            *(() if "--ws-port" in self.options else ports), *self.options,
        ]  # fmt: skip
        with (self.folder / "node.log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: ASYNC220 (a moment, in a test)
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "GREENROOM_SECRET": SECRET, **self.env},
                cwd=self.folder,
            )
        try:
            if self.waits_for_ports:
                await self._wait_for_ports()
        except BaseException:
            self.close()
            raise

    async def _wait_for_ports(self) -> None:
        assert self.process is not None
        deadline = time.monotonic() + _START_LIMIT_S
        while not all([await _answers(port) for port in (self.ws_port, self.api_port)]):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the node did not start:\n{self.log}")
            await asyncio.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    async def terminate(self) -> int:
        """SIGTERM; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, _END_LIMIT_S)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    async def tokens(self, *user_ids: str, platform_id: int = 5) -> dict[str, str]:
        """Register the users that are missing, and make a token for each user."""
        async with Api(self.api_url) as api:
            admin = await api.admin_token(SECRET)
            await api.register(*user_ids, admin_token=admin, missing_only=True)
            return {
                user: await api.user_token(user, platform_id=platform_id, admin_token=admin) for user in user_ids
            }


async def _answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
