"""Each fixed child of a node: after a crash it is there again and works; past its intensity the node falls."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from greenroom import Client
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Ping
from greenroom.persistence import settings as settings_module
from greenroom.persistence.sqlite.check import check
from greenroom.supervisor import Node
from greenroom.tests.kit.crashing_node import Crash, plant_crash
from greenroom.tests.kit.node_kit import SECRET
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

CHILDREN = ("store", "lane-0", "admins", "gateway", "http")


@pytest.fixture(autouse=True)
def _crash_is_known() -> Iterator[None]:
    plant_crash()
    yield
    delattr(Entity, "receiveMsg_Crash")


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Node]:
    environ = {
        "GREENROOM_NODE_WS_PORT": "0", "GREENROOM_NODE_API_PORT": "0", "GREENROOM_NODE_DATA_DIR": str(folder),
        "GREENROOM_SECRET": SECRET, "GREENROOM_STORE_WRITER": "thread",
    }  # fmt: skip
    node = Node(settings_module.load(environ=environ))
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


async def token(node: Node, user: str) -> str:
    async with Api(f"http://127.0.0.1:{node.api_port}") as api:
        admin = await api.admin_token(SECRET)
        await api.register(user, admin_token=admin, missing_only=True)
        return await api.user_token(user, admin_token=admin)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("waited in vain")


@pytest.mark.parametrize(
    "child", [pytest.param(child, marks=() if child in ("store", "gateway") else pytest.mark.ci) for child in CHILDREN]
)
async def test_child_that_crashed_works_again(tmp_path: Path, child: str) -> None:
    """Three times, as its intensity allows, amid a talk: nothing acked is lost, all is shown once and in order."""
    shown: list[tuple[int, str]] = []
    acked: list[str] = []
    stopped = False
    async with running(tmp_path) as node:
        ws_url = f"ws://127.0.0.1:{node.ws_port}"
        a = Client(ws_url=ws_url, user_id="a", token=await token(node, "a"), receive=False, backoff_base_s=0.02)
        b = Client(
            ws_url=ws_url, user_id="b", token=await token(node, "b"), backoff_base_s=0.02, since="beginning",
            on_message=lambda message: shown.append((message.seq, message.client_msg_id)),
        )  # fmt: skip

        async def talk() -> None:
            while not stopped:
                acked.append((await a.send(recv_id="b", text="on we go")).client_msg_id)
                await asyncio.sleep(0.001)

        async with a, b:
            talking = asyncio.create_task(talk())
            for number in range(1, 4):
                before = len(acked)
                node.engine.base.tell(Address("fixed", child), Crash())
                await node.engine.base.ask(Address("fixed", child), Ping(), timeout_s=10)  # Left to the next life.
                await until(lambda: len(acked) >= before + 20)  # noqa: B023 (awaited here)
                assert await token(node, f"new{number}")
            stopped = True
            await talking
            await until(lambda: len(shown) >= len(acked))
        assert [seq for seq, _ in shown] == list(range(1, len(shown) + 1))
        assert [name for _, name in shown] == acked
        assert node.fallen is not None
        assert not node.fallen.done()
        assert node.engine.base.quarantines() == []
        async with Api(f"http://127.0.0.1:{node.api_port}") as api:
            status = await api.call("/greenroom/status", {"secret": SECRET})
        assert status["restarts"] == {name: 3 * (name == child) for name in CHILDREN}
        assert status["isHealthy"]
        assert {name: one.crashes for name, one in node.engine.base.stats().items() if one.crashes} == {
            "Lane" if child == "lane-0" else "Service": 3
        }
    assert check(tmp_path) == []


@pytest.mark.parametrize("child", [*CHILDREN, "root"])
async def test_child_past_its_intensity(tmp_path: Path, child: str) -> None:
    """The supervisor falls, and says which child and how often."""
    async with running(tmp_path) as node:
        for _ in range(1 if child == "root" else 4):
            node.engine.base.tell(Address("fixed", child), Crash())
        assert node.fallen is not None
        reason = await asyncio.wait_for(asyncio.shield(node.fallen), 50)
        expected = f"{child} crashed with RuntimeError, 4 times within 60 s"
        assert reason == ("supervisor crashed with RuntimeError" if child == "root" else expected)
        await until(lambda: not any(node.engine.base.awake(Address("fixed", name)) for name in (*CHILDREN, "root")))
    assert check(tmp_path) == []
