"""Bad input over real sockets: the protocol's answer, at most this one connection, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit import bad_frames, bad_requests
from greenroom.tests.kit.bad_frames import FRAME_LIMIT_BYTES, frame_of_size
from greenroom.tests.kit.bad_scene import BODY, OTHER_SECRET, WEB, Scene
from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.tests.kit.wire_kit import Device, Pair, text_message, until
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

USERS = ("mallory", "victim", "alice", "bob")
CASES = {**bad_frames.CASES, **bad_requests.CASES}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    env = {"GREENROOM_NODE_LOG_LEVEL": "debug", "PYTHONASYNCIODEBUG": ""}
    one = NodeProcess(tmp_path_factory.mktemp("bad-input"), env=env)
    asyncio.run(one.start())
    yield one
    one.close()


@pytest.fixture(scope="module")
def tokens(node: NodeProcess) -> dict[str, str]:
    async def make() -> dict[str, str]:
        async with Api(node.api_url) as api:
            admin = await api.admin_token(SECRET)
        return {**await node.tokens(*USERS, platform_id=WEB), "imAdmin": admin}

    return asyncio.run(make())


@pytest.fixture
async def scene(node: NodeProcess, tokens: dict[str, str]) -> AsyncIterator[Scene]:
    async with Pair(node, tokens, ("alice", "bob"), body=BODY) as pair:
        yield Scene(node, tokens, tokens["imAdmin"], pair)


@pytest.mark.parametrize("name", CASES)
async def test_bad_input(scene: Scene, name: str) -> None:
    async with scene.pair.chatting():
        await CASES[name](scene)


async def test_frame_of_exactly_the_limit(scene: Scene) -> None:
    async with await scene.device() as device, scene.pair.chatting():
        frame = frame_of_size(device, FRAME_LIMIT_BYTES)
        assert len(frame) == FRAME_LIMIT_BYTES
        answer = device.answers["exact"] = asyncio.get_running_loop().create_future()
        await device.socket.send(frame)
        assert (await answer).err_code == 0


@pytest.mark.timeout(60)
async def test_log_at_debug_holds_no_token_secret_or_body(scene: Scene) -> None:
    async with scene.pair.chatting():
        for case in CASES.values():
            await case(scene)
    log = scene.node.log
    debug = [line for line in log.splitlines() if '"debug"' in line or "[debug" in line]
    assert len(debug) > 50, "the log is not at DEBUG"
    assert any("1501 TokenExpired" in line for line in debug)
    secrets = {"secret": SECRET, "other secret": OTHER_SECRET, "body": BODY}
    for user, token in scene.tokens.items():
        secrets[f"token of {user}"] = token
        secrets[f"signature of {user}'s token"] = token.rpartition(".")[2]
    assert [name for name, text in secrets.items() if text in log] == []
    assert "eyJ" not in log, "some token"
    assert "Traceback" not in log
    assert " crashed: " not in log


# Ids that are ambiguous (DESIGN 5).


@pytest.fixture(scope="module")
def colliding(node: NodeProcess) -> dict[str, str]:
    return asyncio.run(node.tokens("a", "b_c", "a_b", "c", "d", "e"))


@contextlib.asynccontextmanager
async def devices(node: NodeProcess, tokens: dict[str, str]) -> AsyncIterator[dict[str, Device]]:
    async with contextlib.AsyncExitStack() as stack:
        yield {
            user: await stack.enter_async_context(await Device.open(node, user, token))
            for user, token in tokens.items()
        }


async def test_two_pairs_with_one_conversation_id(node: NodeProcess, colliding: dict[str, str]) -> None:
    async with devices(node, colliding) as user:
        await user["a"].sent(text_message("a", "b_c"))
        for sender, receiver in (("a_b", "c"), ("c", "a_b")):
            assert (await user[sender].send(text_message(sender, receiver))).err_code == 1001
        await user["b_c"].sent(text_message("b_c", "a"))
        assert user["a"].seqs("si_a_b_c") == user["b_c"].seqs("si_a_b_c")
        seqs = user["a"].seqs("si_a_b_c")
        assert len(seqs) == 2
        assert seqs[1] == seqs[0] + 1
        for outsider in ("a_b", "c"):
            assert user[outsider].pushes == []
            assert "si_a_b_c" not in await user[outsider].newest()
            assert await user[outsider].pull("si_a_b_c", 1, 100) == []


async def test_group_named_like_a_pair(node: NodeProcess, colliding: dict[str, str]) -> None:
    """Each has a chat of its own, and neither hears of the other."""
    async with devices(node, colliding) as user, Api(node.api_url) as api:
        await user["a"].sent(text_message("a", "b_c"))
        await api.create_group("d", ["e"], name="x", token=colliding["d"], group_id="a_b_c")
        await user["d"].sent(text_message("d", group_id="a_b_c"))
        await user["a"].sent(text_message("a", "b_c"))
        await user["e"].wait_for("sg_a_b_c", max(user["d"].seqs("sg_a_b_c")))
        await until(lambda: len(user["a"].seqs("si_a_b_c")) == 2)
        first, second = user["a"].seqs("si_a_b_c")
        assert second == first + 1
        assert user["a"].seqs("sg_a_b_c") == user["d"].seqs("si_a_b_c") == []


async def test_pair_named_like_a_group(node: NodeProcess, colliding: dict[str, str]) -> None:
    async with devices(node, colliding) as user, Api(node.api_url) as api:
        await api.create_group("a", ["c"], name="x", token=colliding["a"], group_id="d_e")
        for sender, receiver in (("d", "e"), ("e", "d")):
            await user[sender].sent(text_message(sender, receiver))
        await user["a"].sent(text_message("a", group_id="d_e"))
        await user["c"].wait_for("sg_d_e", max(user["a"].seqs("sg_d_e")))
        assert user["c"].seqs("sg_d_e") == user["a"].seqs("sg_d_e")
        await until(lambda: len(user["e"].seqs("si_d_e")) == 2)
        first, second = user["e"].seqs("si_d_e")
        assert second == first + 1
        assert user["d"].seqs("sg_d_e") == user["e"].seqs("sg_d_e") == []
