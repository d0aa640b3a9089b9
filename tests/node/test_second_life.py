"""`greenroom serve` reads its command line and begins anew, as the node alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import NodeProcess, free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HEAVY = {
    "cyclopts", "rich", "attrs", "docstring_parser", "httpx", "hdrh", "prometheus_client",
    "greenroom.transport.cli.command", "greenroom.transport.client", "greenroom.transport.load",
}  # fmt: skip
"""What no node needs at rest."""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[NodeProcess]:
    node = NodeProcess(tmp_path, env={"PYTHONPROFILEIMPORTTIME": "1"})
    await node.start()
    try:
        yield node
    finally:
        node.close()


async def test_what_reads_the_command_line_is_not_in_the_node(node: NodeProcess) -> None:
    # The interpreter heads its list of imports in each of its lives; the third is the writer's.
    _, first, *second = [
        {line.rpartition("|")[2].strip() for line in life.splitlines()}
        for life in node.log.split("| imported package")
    ]
    loaded = set().union(*second)
    assert {"cyclopts", "greenroom.transport.cli.command"} <= first
    assert "greenroom.supervisor" in loaded
    assert not HEAVY & loaded
    assert await node.terminate() == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_secret_is_in_no_list_of_processes(tmp_path: Path) -> None:
    config = tmp_path / "own.toml"
    config.write_text('[auth]\nsecret = "known to nobody else"\n')
    ports = ["--ws-port", str(free_port()), "--api-port", str(free_port())]
    command = [sys.executable, "-m", "greenroom", "serve", "--config", str(config), *ports, "--data-dir", "données"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert b"greenroom listens" in process.stdout.readline()
            place = Path(f"/proc/{process.pid}")
            shown = (place / "cmdline").read_bytes()
            assert b"nobody else" not in shown + (place / "environ").read_bytes()
            assert shown.decode(errors="surrogateescape").split("\0")[1:-1] == command[1:]
            assert (tmp_path / "données").is_dir()
        finally:
            process.terminate()
        assert process.wait() == 0
