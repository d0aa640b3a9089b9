"""A writer that cannot be kept up is the store's fall: opened anew a few times, then the node ends with an error."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.persistence import settings
from greenroom.persistence.sqlite import writer_client
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.supervisor import Node
from greenroom.tests.kit.node_kit import SECRET
from greenroom.tests.kit.wire_kit import until
from greenroom.transport.client.api import Api
from greenroom.transport.client.client import Client

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(60)
async def test_writer_that_dies_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_client, "DEATHS_MAX", 1)
    given: dict[str, dict[str, Any]] = {
        "node": {"ws_port": 0, "api_port": 0, "data_dir": str(tmp_path / "data")},
        "auth": {"secret": SECRET},
    }
    node = Node(settings.load(environ={}, overrides=given))
    await node.start()
    assert node.fallen is not None
    ws_url, api_url = f"ws://127.0.0.1:{node.ws_port}", f"http://127.0.0.1:{node.api_port}"
    async with Api(api_url) as api:
        admin = await api.admin_token(SECRET)
        await api.register("u", admin_token=admin)
        token = await api.user_token("u", platform_id=5, admin_token=admin)
    async with Client(ws_url=ws_url, user_id="u", token=token) as client:
        await client.send(recv_id="u", text="first")
        first = node.engine.store.epoch
        await until(lambda: killed(node, unless=node.engine.store.epoch > first))
        await client.send(recv_id="u", text="after the store was opened anew")
        assert client.reconnects == 0
        assert (await client.newest_seqs())["si_u_u"] == 2
        fallen = node.fallen
        await until(lambda: killed(node, unless=fallen.done()), 30)
    assert node.fallen.result() == "store crashed with StoreUnavailable, 4 times within 60 s"
    await node.stop()
    assert check(tmp_path / "data") == []


def killed(node: Node, *, unless: bool) -> bool:
    """Kill the writer, if there is one; `unless` it is enough."""
    store = node.engine.store
    assert isinstance(store, SqliteStore)
    pid = store.writer_pid
    if pid is not None and not unless:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return unless
