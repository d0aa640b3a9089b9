"""The whole chain against servers with faults: the harness accuses a server of what it did, and of nothing else.

With NODE_UNDER_TEST, the harness of that checkout is tried.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.log import Send
from greenroom.persistence import settings
from greenroom.supervisor import Node
from greenroom.tests.kit.fake_openim import FakeOpenIm
from greenroom.tests.kit.load_kit import SHORT, LoadRun, start_load, wait_load
from greenroom.tests.kit.node_kit import SECRET
from greenroom.tests.kit.private_ca import CA, private_ca, server_tls

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.actors.wire import msg_pb2

pytestmark = [pytest.mark.ci, pytest.mark.timeout(60)]


async def test_server_that_acks_under_another_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = itertools.count(1)
    right = Send.answer

    def answer(self: Send) -> msg_pb2.SendMsgResp:
        response = right(self)
        if next(numbers) % 20 == 0:
            response.serverMsgID = "0" * 32
        return response

    monkeypatch.setattr(Send, "answer", answer)
    given: dict[str, dict[str, Any]] = {
        "node": {"ws_port": 0, "api_port": 0, "data_dir": str(tmp_path / "data")},
        "auth": {"secret": SECRET},
    }
    node = Node(settings.load(environ={}, overrides=given))
    await node.start()
    try:
        at = ("--ws", f"ws://127.0.0.1:{node.ws_port}", "--api", f"http://127.0.0.1:{node.api_port}")
        process = await start_load(tmp_path, "one-to-one", "--users", "4", "--rate", "40", *SHORT, *at)
        run = await wait_load(process, tmp_path, "one-to-one")
    finally:
        await node.drain()
        await node.stop()
    assert run.code == 2, run.out + run.err
    kinds = set(run.figures["verdict"]["totals"])
    assert kinds == {"ack_differs"}, kinds


async def _run_on(server: FakeOpenIm, folder: Path, *more: str, drain_s: float, rate: str = "10") -> LoadRun:
    arguments = (
        "one-to-one", "--users", "2", "--rate", rate, *SHORT[2:], "--for", "1s", "--set", f"pace.drain_s={drain_s}",
        "--set", "client.request_timeout_s=1", *more,
    )  # fmt: skip
    return await wait_load(await start_load(folder, *arguments, *server.at), folder, "one-to-one")


async def test_server_that_hangs_is_not_accused_of_loss(tmp_path: Path) -> None:
    async with FakeOpenIm(hang_at=5) as server:
        run = await _run_on(server, tmp_path, drain_s=2)
    assert run.code == 1, run.out + run.err
    assert "the server answered no question about what it has stored" in run.out
    assert run.figures["verdict"]["totals"] == {}


async def test_drain_waits_for_a_server_that_acks_before_it_stores(tmp_path: Path) -> None:
    async with FakeOpenIm(store_late_from=3) as server:
        run = await _run_on(server, tmp_path, drain_s=30)
    assert run.code == 0, run.out + run.err
    assert "acked messages are not stored yet" in run.out
    assert run.figures["verdict"]["counts"]["stored"] == run.figures["counts"]["acked"]


async def test_missing_messages_of_a_server_that_still_stores_are_undecided(tmp_path: Path) -> None:
    async with FakeOpenIm(store_late_from=3) as server:
        run = await _run_on(server, tmp_path, drain_s=2, rate="40")
    assert run.code == 4, run.out + run.err
    assert "undecided: the server was still storing messages" in run.out
    assert run.figures["verdict"]["totals"] == {}
    assert run.figures["verdict"]["undecided"]["acked_not_stored"] > 0


async def test_messages_that_are_never_stored_are_lost(tmp_path: Path) -> None:
    async with FakeOpenIm(store_late_from=3, lose=2) as server:
        run = await _run_on(server, tmp_path, drain_s=8)
    assert run.code == 2, run.out + run.err
    assert run.figures["verdict"]["totals"] == {"acked_not_stored": 2}


async def test_run_that_sends_nothing_does_not_pass(tmp_path: Path) -> None:
    async with FakeOpenIm() as server:
        run = await _run_on(server, tmp_path, drain_s=2, rate="0.001")
    assert run.code == 4, run.out + run.err
    assert "no message was sent" in run.out
    assert "ack ms: not measured" in run.out
    assert "p99 0.0" not in run.out


async def test_server_with_a_certificate_of_a_private_authority(tmp_path: Path) -> None:
    private_ca(tmp_path)
    async with FakeOpenIm(tls=server_tls(tmp_path)) as server:
        run = await _run_on(server, tmp_path, drain_s=5)
        assert run.code == 69, run.out + run.err
        assert "certificate verify failed" in run.err
        run = await _run_on(server, tmp_path, "--ca", str(tmp_path / CA), drain_s=5)
        assert run.code == 0, run.out + run.err
        run = await _run_on(server, tmp_path, "--ca", str(tmp_path / "key.pem"), drain_s=5)
        assert (run.code, run.err.count("\n")) == (64, 1), run.err
