"""A node as its operator sees it: signals, standard streams, the log, and how commands find it."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import re
import secrets
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from greenroom import Client
from greenroom.persistence.signals import FATAL
from greenroom.persistence.sqlite.check import check
from greenroom.tests.kit.node_kit import NODE_PYTHON, SECRET, NodeProcess

if TYPE_CHECKING:
    from pathlib import Path

STOPPING = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU, signal.SIGPWR}
SILENT = sorted(FATAL - STOPPING - {signal.SIGPIPE})
ENDS_WITHIN_S = 30


async def sends(node: NodeProcess) -> None:
    """The node acknowledges a message, and gives it back."""
    token = (await node.tokens("a"))["a"]
    async with Client(ws_url=node.ws_url, user_id="a", token=token, backoff_base_s=0.05) as client:
        sent = await client.send(recv_id="a", text="hello")
        kept = await client.pull_history("si_a_a", begin=1, end=100, limit=100)
        assert kept[-1].client_msg_id == sent.client_msg_id


async def until_logged(path: Path, event: str) -> dict[str, Any]:
    """The first line with this event, once it is there."""
    async with asyncio.timeout(60):
        while True:
            found = _logged(path, event)
            if found is not None:
                return found
            await asyncio.sleep(0.02)


def _logged(path: Path, event: str) -> dict[str, Any] | None:
    text = path.read_text() if path.exists() else ""
    events: list[dict[str, Any]] = [json.loads(line) for line in re.findall(r'{"event": .*}$', text, re.MULTILINE)]
    return next((one for one in events if one["event"] == event), None)


async def test_signals_that_mean_nothing_end_neither_node_nor_writer(tmp_path: Path) -> None:
    async with NodeProcess(tmp_path) as node:
        assert node.process is not None
        for pid in (node.process.pid, node.writer):
            for number in SILENT:
                os.kill(pid, number)
        await sends(node)
        assert await node.terminate() == 0


@pytest.mark.parametrize("number", sorted(STOPPING), ids=lambda number: signal.Signals(number).name)
async def test_signals_that_stop_drain_first(tmp_path: Path, number: int) -> None:
    """Also when the whole process group gets them, as from a terminal: the writer ends after the node."""
    async with NodeProcess(tmp_path) as node:
        assert node.process is not None
        await sends(node)
        os.kill(node.writer, number)
        node.process.send_signal(number)
        assert await asyncio.to_thread(node.process.wait, ENDS_WITHIN_S) == 0
        assert await until_logged(tmp_path / "node.log", "draining")
        assert await until_logged(tmp_path / "node.log", "stopped")
        assert check(node.data_dir) == []


async def test_hangup_opens_the_log_again_and_applies_what_can_change(tmp_path: Path) -> None:
    log, config = tmp_path / "log", tmp_path / "own.toml"
    config.write_text(f'[node]\nlog_file = "{log}"\n')
    async with NodeProcess(tmp_path, options=("--config", str(config))) as node:
        assert node.process is not None
        started = await until_logged(log, "start")
        assert started["settings"]["node.log_file"] == str(log)
        log.rename(tmp_path / "log.1")
        config.write_text(f'[node]\nlog_file = "{log}"\nlog_level = "debug"\n[message]\nsends_in_flight = 7\n')
        node.process.send_signal(signal.SIGHUP)
        assert (await until_logged(log, "reloaded"))["settings"] == {"node.log_level": "debug"}
        assert await until_logged(log, "these settings need a restart: message.sends_in_flight")
        config.write_text("[node]\nlog_level = 7\n")
        node.process.send_signal(signal.SIGHUP)
        assert await until_logged(log, f"the settings were not reloaded: {config}: [node] log_level: must be a text")
        await sends(node)
        assert await node.terminate() == 0


@pytest.mark.parametrize(
    "streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", ">/dev/full 2>/dev/full"]
)
async def test_standard_streams_that_are_closed_or_full(tmp_path: Path, streams: str) -> None:
    async with NodeProcess(tmp_path, prefix=("sh", "-c", f'exec "$@" {streams}', "sh")) as node:
        await sends(node)
        assert await node.terminate() == 0
        assert check(node.data_dir) == []


async def test_reader_of_the_log_that_stops_reading(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    unread = os.open(fifo, os.O_RDWR)
    try:
        fcntl.fcntl(unread, fcntl.F_SETPIPE_SZ, 4096)
        os.write(unread, b"x" * 4096)
        prefix = ("sh", "-c", f'exec "$@" 2> {fifo}', "sh")
        async with NodeProcess(tmp_path, prefix=prefix, env={"GREENROOM_NODE_LOG_LEVEL": "debug"}) as node:
            await sends(node)
            assert await node.terminate() == 0
    finally:
        os.close(unread)


async def test_log_says_where_the_node_listens(tmp_path: Path) -> None:
    strong = {"GREENROOM_SECRET": secrets.token_hex(32)}
    async with NodeProcess(tmp_path, options=("--host", "0.0.0.0"), env=strong) as node:
        listening = await until_logged(tmp_path / "node.log", "listening")
        assert (listening["ws"], listening["api"]) == (f"ws://0.0.0.0:{node.ws_port}", f"http://0.0.0.0:{node.api_port}")
        notice = await until_logged(
            tmp_path / "node.log", "it listens on 0.0.0.0: it is open to the network, without TLS"
        )
        assert notice["level"] == "warning"
    async with NodeProcess(tmp_path) as node:
        await sends(node)
        assert node.log.count("open to the network") == 2  # The one of the first node, in its log and on its stdout.


async def test_commands_find_the_node_by_its_folder(tmp_path: Path) -> None:
    async with NodeProcess(tmp_path, options=("--ws-port", "0", "--api-port", "0"), waits_for_ports=False) as node:
        listening = await until_logged(tmp_path / "node.log", "listening")
        assert not listening["ws"].endswith(":0")

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [NODE_PYTHON, "-m", "greenroom", *arguments, "--data-dir", str(node.data_dir)]
            env = os.environ | {"GREENROOM_SECRET": SECRET}
            return subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)

        for command in (("token", "--user", "a", "--register"), ("status", "--json")):
            said = await asyncio.to_thread(run, *command)
            assert said.returncode == 0, said.stderr
        assert await node.terminate() == 0
        assert not (node.data_dir / "addresses").exists()
