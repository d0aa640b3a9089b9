"""The whole chain against a server that is wrong: the harness says so with exit code 2, and names the fault."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.log import Send
from greenroom.persistence import settings
from greenroom.supervisor import Node
from greenroom.tests.kit.load_kit import SHORT, start_load, wait_load
from greenroom.tests.kit.node_kit import SECRET

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
