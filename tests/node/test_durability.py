"""Acked means on disk: seen by strace; the writer may die; the command says in one line why it does not start."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom import Client
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.persistence.sqlite.check import check
from greenroom.tests.kit.node_kit import SECRET, NodeProcess, free_port
from greenroom.tests.kit.strace_kit import Call, calls_in, strace_prefix
from greenroom.tests.kit.wire_kit import Device, text_message, until
from greenroom.transport.client.errors import Refused

if TYPE_CHECKING:
    from greenroom.transport.client.client_message import Received

MESSAGES = 40
SYNCS = ("fdatasync", "fsync")
STORE_UNAVAILABLE = 90002


def _first(calls: list[Call], text: str) -> Call:
    found = next((call for call in calls if text in call.text), None)
    assert found is not None, f"no call with {text}"
    return found


@pytest.mark.ci
@pytest.mark.timeout(90)
async def test_every_ack_follows_the_sync_of_its_message(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    node = NodeProcess(tmp_path, prefix=strace_prefix(trace))
    await node.start()
    try:
        tokens = await node.tokens("u", "peer")
        async with await Device.open(node, "u", tokens["u"], sdk_type="js") as device:
            for number in range(MESSAGES):
                message = text_message("u", "peer", content=f'{{"content":"body-{number:04}-body"}}'.encode())
                message.clientMsgID = f"client-{number:04}"
                data, incr = message.SerializeToString(), f"incr-{number:04}"
                response = await device.answer(RequestId.SEND_MESSAGE, data, msg_incr=incr)
                assert response.err_code == 0
        assert node.process is not None
        # The signal is for the node, not for strace.
        os.kill(_children(node.process.pid)[0], signal.SIGTERM)
        assert await asyncio.to_thread(node.process.wait, 30) == 0
    finally:
        node.close()
    calls = list(calls_in(trace))
    log = str(node.data_dir / "greenroom.db-wal")
    writes = [call for call in calls if call.name == "pwrite64" and call.target.startswith(log)]
    syncs = [call for call in calls if call.name in SYNCS and call.target.startswith(log)]
    frames = [call for call in calls if call.target.startswith("TCP")]
    for number in range(MESSAGES):
        stored = _first(writes, f"body-{number:04}-body")
        acked = _first(frames, f"incr-{number:04}")
        between = [one for one in syncs if stored.end < one.start and one.end < acked.start and one.result == 0]
        assert between, f"message {number} was acked at {acked.start} with no sync after its write at {stored.end}"
    # Sent one after another, so no sync may serve two of them.
    assert len(syncs) >= MESSAGES


def _children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.mark.timeout(60)
async def test_writer_killed_while_sends_are_under_way(node: NodeProcess) -> None:
    assert node.process is not None
    pairs, kills = 4, 3
    names = [f"{side}{number}" for number in range(pairs) for side in "ab"]
    tokens = await node.tokens(*names)
    acked: dict[str, set[str]] = defaultdict(set)
    shown: dict[str, list[tuple[int, str]]] = defaultdict(list)
    refused = 0
    codes: set[int] = set()

    def client(name: str) -> Client:
        def note(message: Received) -> None:
            shown[name].append((message.seq, message.client_msg_id))

        return Client(
            ws_url=node.ws_url, user_id=name, token=tokens[name], since="beginning", own_messages=True,
            on_message=note, backoff_base_s=0.5,
        )  # fmt: skip

    clients = {name: client(name) for name in names}
    raw_tokens = await node.tokens("raw", "rawpeer")
    stop = asyncio.Event()

    async def talk(name: str) -> None:
        peer = name.translate(str.maketrans("ab", "ba"))
        while not stop.is_set():
            try:
                sent = await clients[name].send(recv_id=peer, text="hello")
            except Refused as refusal:
                codes.add(refusal.code)
            else:
                acked[name].add(sent.client_msg_id)

    async def talk_without_retry(device: Device) -> None:
        """What one send is told: stored, or 90002; never silence."""
        nonlocal refused
        number = 0
        while not stop.is_set():
            number += 1
            answer = await device.send(text_message("raw", "rawpeer", clientMsgID=f"raw{number}"))
            assert answer.err_code in (0, STORE_UNAVAILABLE)
            if answer.err_code:
                refused += 1
                await asyncio.sleep(0.02)  # As a client would: not to take the CPU from the new writer.
            else:
                acked["raw"].add(f"raw{number}")

    async with contextlib.AsyncExitStack() as stack:
        for one in clients.values():
            await stack.enter_async_context(one)
        raw = await stack.enter_async_context(await Device.open(node, "raw", raw_tokens["raw"]))
        talks = [asyncio.create_task(talk(name)) for name in names for _ in range(4)]
        talks.append(asyncio.create_task(talk_without_retry(raw)))
        for _ in range(kills):
            before = sum(map(len, acked.values()))
            await until(lambda before=before: sum(map(len, acked.values())) > before + 50)
            [writer] = _children(node.process.pid)
            before_refused = refused
            os.kill(writer, signal.SIGKILL)
            await until(lambda before=before_refused: refused > before)
            await until(lambda writer=writer: [pid for pid in _children(node.process.pid) if pid != writer])
        after = sum(map(len, acked.values()))
        await until(lambda: sum(map(len, acked.values())) > after + 50)
        stop.set()
        await asyncio.gather(*talks)
        assert node.process.poll() is None
        assert codes <= {STORE_UNAVAILABLE}
        newest = (await raw.newest())["si_raw_rawpeer"]
        stored = [message.clientMsgID for message in await raw.pull("si_raw_rawpeer", 1, newest)]
        assert len(set(stored)) == len(stored) == newest
        assert acked["raw"] <= set(stored)
        for number in range(pairs):
            both = (f"a{number}", f"b{number}")
            last = (await clients[both[0]].newest_seqs())[f"si_a{number}_b{number}"]
            for name in both:
                await until(lambda name=name, last=last: len(shown[name]) >= last)
                assert [seq for seq, _ in shown[name]] == list(range(1, last + 1))
                ids = [client_id for _, client_id in shown[name]]
                assert len(set(ids)) == len(ids)
                assert acked[both[0]] | acked[both[1]] <= set(ids)
        assert [one.reconnects for one in clients.values()] == [0] * len(clients)
    assert await node.terminate() == 0
    assert check(node.data_dir) == []


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "greenroom", *arguments], env={**os.environ, "GREENROOM_SECRET": SECRET},
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip


def _one_line(result: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed has said."""
    assert result.returncode == 1, result.stderr
    assert result.stdout == ""
    [line] = [line for line in result.stderr.splitlines() if not line.startswith("{")]
    return line


async def _still_serves(node: NodeProcess) -> None:
    token = (await node.tokens("u"))["u"]
    async with await Device.open(node, "u", token) as device:
        await device.sent(text_message("u", "u"))


async def test_second_node_on_one_data_directory(node: NodeProcess) -> None:
    assert node.process is not None
    ports = ("--ws-port", str(free_port()), "--api-port", str(free_port()))
    second = await asyncio.to_thread(_run, "serve", "--data-dir", str(node.data_dir), *ports)
    assert re.fullmatch(
        rf"greenroom: {re.escape(str(node.data_dir))} is in use by process {node.process.pid}", _one_line(second)
    )
    await _still_serves(node)


@pytest.mark.parametrize("taken", ["ws", "api"])
async def test_port_that_is_taken(node: NodeProcess, tmp_path: Path, taken: str) -> None:
    ports = {"ws": free_port(), "api": free_port(), taken: node.ws_port if taken == "ws" else node.api_port}
    second = await asyncio.to_thread(
        _run, "serve", "--data-dir", str(tmp_path / "other"),
        "--ws-port", str(ports["ws"]), "--api-port", str(ports["api"]),
    )  # fmt: skip
    line = _one_line(second)
    assert "Address already in use" in line
    assert str(ports[taken]) in line
    await _still_serves(node)


async def test_database_that_is_none(tmp_path: Path) -> None:
    """A node that cannot open its store ends, and its last line says which child fell and why."""
    (tmp_path / "greenroom.db").write_bytes(b"this is no database at all" * 1000)
    first = await asyncio.to_thread(
        _run, "serve", "--data-dir", str(tmp_path), "--ws-port", str(free_port()), "--api-port", str(free_port())
    )
    assert first.returncode == 1
    assert first.stderr.splitlines()[-1].startswith("greenroom: the node did not start: ")
    assert "Traceback" not in first.stderr


async def test_check_after_sigterm(node: NodeProcess) -> None:
    await _still_serves(node)
    assert await node.terminate() == 0, node.log
    left = {path.name for path in node.data_dir.iterdir()}
    assert left == {"greenroom.db", "greenroom.db-mark", "lock"}, "all is in the database"
    result = await asyncio.to_thread(_run, "check", "--data-dir", str(node.data_dir))
    assert (result.returncode, result.stdout) == (0, "")
    assert "no findings" in result.stderr
