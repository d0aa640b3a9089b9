"""`greenroom load` as a user runs it: a process, its exit code, its lines and its files."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from greenroom.tests.kit.node_kit import NODE_PYTHON, SECRET

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.tests.kit.node_kit import NodeProcess

__all__ = ["LoadRun", "start_load", "wait_load"]

SHORT = ("--for", "2s", "--set", "pace.ramp_s=0.3", "--set", "thresholds.harness_lag_p99_ms=2000",
         "--set", "thresholds.harness_cpu_share=2", "--set", "thresholds.ack_p99_ms=8000",
         "--set", "thresholds.delivery_p99_ms=8000", "--set", "thresholds.login_p99_ms=9000")  # fmt: skip
"""A short run that passes on a busy machine, too: tests judge the messages, not the machine."""


@dataclass
class LoadRun:
    code: int
    out: str
    err: str
    folder: Path
    name: str

    @property
    def html(self) -> Path:
        return self.folder / f"greenroom-load-{self.name}.html"

    @property
    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / f"greenroom-load-{self.name}.json").read_text())
        return found


async def start_load(
    folder: Path, *arguments: str, node: NodeProcess | None = None, secret: str = SECRET
) -> asyncio.subprocess.Process:
    """With NODE_UNDER_TEST, the command of that checkout is run."""
    at = ("--ws", node.ws_url, "--api", node.api_url) if node is not None else ()
    return await asyncio.create_subprocess_exec(
        NODE_PYTHON, "-m", "greenroom", "load", *arguments, *at,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**os.environ, "GREENROOM_SECRET": secret},
    )  # fmt: skip


async def wait_load(process: asyncio.subprocess.Process, folder: Path, name: str) -> LoadRun:
    out, err = await process.communicate()
    assert process.returncode is not None
    return LoadRun(process.returncode, out.decode(), err.decode(), folder, name)
