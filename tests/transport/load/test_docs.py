"""Every command of docs/load-testing.md, as it stands there."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

import pytest

from greenroom.tests.kit.load_kit import SHORT
from greenroom.tests.kit.node_kit import SECRET, NodeProcess

pytestmark = [pytest.mark.ci, pytest.mark.timeout(240)]

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "load-testing.md").read_text()
LENIENT = [word for word in SHORT[4:] if "=" in word]
"""Thresholds that a busy machine passes, where the page does not set them itself."""


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def _commands() -> list[str]:
    return [line for block in _blocks("sh") for line in block.splitlines() if line.strip()]


async def test_every_command(node_of_the_page: NodeProcess, tmp_path: Path) -> None:
    node = node_of_the_page
    (toml,) = _blocks("toml")
    (tmp_path / "teams.toml").write_text(toml)
    env = {
        **os.environ,
        "GREENROOM_NODE_WS_PORT": str(node.ws_port),
        "GREENROOM_NODE_API_PORT": str(node.api_port),
        "GREENROOM_SECRET": SECRET,
    }
    ran = 0
    for line in _commands():
        words = shlex.split(line.replace(":10001", f":{node.ws_port}").replace(":10002", f":{node.api_port}"))
        if words[0] == "export" or words[:2] == ["greenroom", "serve"]:
            continue  # The fixture's node and its secret stand for these two.
        assert words[0] == "greenroom", line
        if words[1] == "load" and "--find-capacity" not in words:
            words += [part for value in LENIENT for part in ("--set", value)]
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *words, cwd=tmp_path, env=env,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await process.communicate()
        # How much this machine can do is its own affair: the search may find nothing, or itself, too slow.
        allowed = (0, 1, 3) if "--find-capacity" in words else (0,)
        assert process.returncode in allowed, f"{line}\n{out.decode()}"
        ran += 1
    assert ran >= 8
    assert (tmp_path / "greenroom-load-one-to-one.html").is_file()


def test_page_names_every_scenario() -> None:
    from greenroom.transport.load.scenario import shipped

    for name in shipped():
        assert f"| `{name}` |" in PAGE
