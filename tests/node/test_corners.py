"""Corners of a chat over real sockets: races that a user meets sooner or later, and what may not go wrong in them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.wire import msg_pb2, push_pb2
from greenroom.actors.wire.vocabulary import ContentType, RequestId
from greenroom.persistence.sqlite.check import check
from greenroom.tests.kit.node_kit import NodeProcess
from greenroom.tests.kit.wire_kit import Device, text_message, until
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from greenroom.transport.envelope.codec import Response

IOS, ANDROID, WEB = 1, 2, 5
NO_PERMISSION = 1002


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    """Seeded by GREENROOM_SEED, or anew; a failure shows the seed."""
    seed = int(os.environ.get("GREENROOM_SEED", str(random.randrange(10**6))))
    print(f"seed {seed}")
    return random.Random(seed)


@contextlib.asynccontextmanager
async def online(node: NodeProcess, *users: str, platform_id: int = WEB) -> AsyncIterator[list[Device]]:
    """A device for each user, in mixed envelopes."""
    tokens = await node.tokens(*users, platform_id=platform_id)
    async with contextlib.AsyncExitStack() as stack:
        devices = []
        for number, user in enumerate(users):
            device = await Device.open(
                node, user, tokens[user], platform_id=platform_id,
                sdk_type="go" if number % 2 else "js", gzip=number % 3 == 0,
            )  # fmt: skip
            devices.append(await stack.enter_async_context(device))
        yield devices


def acks(answers: Sequence[Response]) -> list[msg_pb2.SendMsgResp]:
    assert [answer.err_code for answer in answers] == [0] * len(answers)
    return [msg_pb2.SendMsgResp.FromString(answer.data or b"") for answer in answers]


async def test_chat_with_oneself_reaches_both_devices_once(node: NodeProcess) -> None:
    async with online(node, "u") as [web], online(node, "u", platform_id=ANDROID) as [phone]:
        for number in range(1, 6):
            sender = phone if number % 2 else web
            await sender.sent(text_message("u", "u", clientMsgID=f"m{number}"))
        for device in (web, phone):
            await device.wait_for("si_u_u", 5)
            await device.newest()  # What was pushed twice would have come before this answer.
            shown = [(message.seq, message.clientMsgID) for message in device.pushed("si_u_u")]
            assert shown == [(number, f"m{number}") for number in range(1, 6)]
        assert [message.seq for message in await web.pull("si_u_u", 1, 100)] == [1, 2, 3, 4, 5]


async def test_first_message_of_a_conversation_from_both_sides_at_once(node: NodeProcess) -> None:
    names = [f"{side}{number}" for number in range(20) for side in "ab"]
    async with online(node, *names) as devices:
        pairs = list(zip(devices[::2], devices[1::2], strict=True))
        for first, second in pairs:
            answers = await asyncio.gather(
                first.send(text_message(first.user_id, second.user_id, clientMsgID="first")),
                second.send(text_message(second.user_id, first.user_id, clientMsgID="second")),
            )
            acks(answers)
        for first, second in pairs:
            chat = f"si_{first.user_id}_{second.user_id}"
            await asyncio.gather(first.wait_for(chat, 2), second.wait_for(chat, 2))
            orders = [[(m.seq, m.clientMsgID) for m in device.pushed(chat)] for device in (first, second)]
            assert [seq for seq, _ in orders[0]] == [1, 2]
            assert {name for _, name in orders[0]} == {"first", "second"}
            assert orders[0] == orders[1]


async def test_one_client_message_id_from_two_devices_at_once(node: NodeProcess) -> None:
    async with online(node, "u", "peer") as [web, peer], online(node, "u", platform_id=ANDROID) as [phone]:
        for number in range(1, 21):
            message = text_message("u", "peer", clientMsgID=f"same{number}")
            first, second = acks(await asyncio.gather(web.send(message), phone.send(message)))
            assert first == second
            assert first.serverMsgID
        again = await phone.sent(text_message("u", "peer", clientMsgID="same1", content=b"other"))
        assert again == acks([await web.send(text_message("u", "peer", clientMsgID="same1"))])[0]
        for device in (web, phone, peer):
            await device.wait_for("si_peer_u", 20)
            await device.newest()
            assert device.seqs("si_peer_u") == list(range(1, 21))
        stored = await peer.pull("si_peer_u", 1, 100)
        assert [message.clientMsgID for message in stored] == [f"same{number}" for number in range(1, 21)]


async def test_member_kicked_while_all_send(node: NodeProcess) -> None:
    names = ["owner", "kicked", "m1", "m2", "m3"]
    async with online(node, *names) as devices, Api(node.api_url) as api:
        owner, kicked, *_ = devices
        token = (await node.tokens("owner", platform_id=IOS))["owner"]
        group = await api.create_group("owner", names[1:], name="x", token=token)
        chat = f"sg_{group}"
        stop = asyncio.Event()
        refused = 0
        acked: dict[str, list[str]] = {name: [] for name in names}

        async def talk(device: Device) -> None:
            nonlocal refused
            number = 0
            while not stop.is_set():
                number += 1
                client_id = f"{device.user_id}-{number}"
                answer = await device.send(text_message(device.user_id, group_id=group, clientMsgID=client_id))
                if answer.err_code == 0:
                    acked[device.user_id].append(client_id)
                else:
                    assert (device, answer.err_code) == (kicked, NO_PERMISSION)
                    refused += 1

        talks = [asyncio.create_task(talk(device)) for device in devices for _ in range(3)]
        await owner.wait_for(chat, 100)
        await api.call("/group/kick_group", {"groupID": group, "kickedUserIDs": ["kicked"]}, token)
        at_kick = max(owner.seqs(chat))
        await owner.wait_for(chat, at_kick + 100)
        await until(lambda: refused > 3)
        stop.set()
        await asyncio.gather(*talks)
        newest = (await owner.newest())[chat]
        stored = {message.seq: message for message in await owner.pull(chat, 1, newest)}
        assert list(stored) == list(range(1, newest + 1))
        [cut] = [seq for seq, message in stored.items() if message.contentType == ContentType.MEMBERS_KICKED]
        for device in devices:
            last = cut if device is kicked else newest
            await device.wait_for(chat, last)
            await device.newest()  # Whatever was pushed too many has come before this answer.
            assert device.seqs(chat) == list(range(1, last + 1)), device.user_id
        late = [seq for seq, message in stored.items() if message.sendID == "kicked" and seq > cut]
        assert late == []
        client_ids = [message.clientMsgID for message in stored.values()]
        assert len(set(client_ids)) == len(client_ids)
        assert set().union(*acked.values()) <= set(client_ids)
        assert [m.seq for m in await kicked.pull(chat, 1, newest)] == list(range(1, cut + 1))


async def test_send_followed_at_once_by_logout(node: NodeProcess) -> None:
    logout = push_pb2.DelUserPushTokenReq(userID="u", platformID=WEB).SerializeToString()
    async with online(node, "peer") as [peer]:
        for number in range(1, 16):
            async with online(node, "u") as [device]:
                message = text_message("u", "peer", clientMsgID=f"m{number}")
                sending = await device.ask(RequestId.SEND_MESSAGE, message.SerializeToString())
                leaving = await device.ask(RequestId.LOGOUT, logout)
                [ack] = acks([await sending])
                assert ack.clientMsgID == f"m{number}"
                assert (await leaving).err_code == 0
                await device.closed()
            await peer.wait_for("si_peer_u", number)
        stored = await peer.pull("si_peer_u", 1, 100)
        assert [message.clientMsgID for message in stored] == [f"m{number}" for number in range(1, 16)]


async def test_last_device_torn_away_while_pushes_are_under_way(node: NodeProcess, rng: random.Random) -> None:
    burst, rounds = 40, 8
    tokens = await node.tokens("reader")
    shown: list[int] = []
    torn_inside = 0
    async with online(node, "writer") as [writer]:
        for turn in range(rounds):
            async with await Device.open(node, "reader", tokens["reader"]) as reader:
                seen = max(shown, default=0)
                newest = (await reader.newest()).get("si_reader_writer", 0)
                shown += [message.seq for message in await reader.pull("si_reader_writer", seen + 1, newest)]
                wanted = burst * turn
                sends = []
                for number in range(burst):
                    message = text_message("writer", "reader", clientMsgID=f"{turn}-{number}")
                    sends.append(await writer.ask(RequestId.SEND_MESSAGE, message.SerializeToString()))
                await reader.wait_for("si_reader_writer", wanted + rng.randrange(1, burst))
                reader.abort()
                acks(await asyncio.gather(*sends))
                pushed = [seq for seq in reader.seqs("si_reader_writer") if seq > newest]
                torn_inside += 0 < len(pushed) < burst
                shown += pushed
        async with await Device.open(node, "reader", tokens["reader"]) as reader:
            newest = (await reader.newest())["si_reader_writer"]
            shown += [message.seq for message in await reader.pull("si_reader_writer", max(shown) + 1, newest)]
    assert shown == list(range(1, burst * rounds + 1))
    assert torn_inside > 0, "no connection was torn away amid its pushes"


async def test_first_message_to_a_peer_that_has_just_connected_is_pushed(node: NodeProcess) -> None:
    tokens = await node.tokens("peer")
    async with online(node, "u") as [sender], Api(node.api_url) as api:
        token = (await node.tokens("u", platform_id=IOS))["u"]
        group = await api.create_group("u", ["peer"], name="x", token=token)
        await sender.sent(text_message("u", group_id=group))
        base = (await sender.newest())[f"sg_{group}"]
        for number in range(1, 21):
            async with await Device.open(node, "peer", tokens["peer"]) as peer:
                # The handshake's answer has come; nothing has been asked and nothing is pulled.
                await asyncio.gather(
                    sender.sent(text_message("u", "peer")), sender.sent(text_message("u", group_id=group))
                )
                await peer.wait_for("si_peer_u", number)
                await peer.wait_for(f"sg_{group}", base + number)
                assert peer.seqs("si_peer_u") == [number]
                assert peer.seqs(f"sg_{group}") == [base + number]


IDLE_S = 0.03


@pytest.mark.timeout(40)
async def test_sleep_racing_with_messages(tmp_path: Path, rng: random.Random) -> None:
    """An idle entity falls asleep between one and one and a half timeouts: the gaps aim there."""
    node = NodeProcess(tmp_path, env={"GREENROOM_MESSAGE_IDLE_TIMEOUT_S": str(IDLE_S)})
    await node.start()
    count, pairs = 80, 6
    try:
        names = [f"{side}{number}" for number in range(pairs) for side in "ab"]
        async with online(node, *names) as devices, Api(node.api_url) as api:
            token = (await node.tokens("a0", platform_id=IOS))["a0"]
            group = await api.create_group("a0", names[1:], name="x", token=token)

            async def chat(sender: Device, number: int, **to: str) -> None:
                for index in range(count):
                    message = text_message(sender.user_id, clientMsgID=f"{number}-{index}", **to)
                    await sender.sent(message)
                    if index % 10 == 0:
                        assert (await sender.send(message)).err_code == 0  # A repeat, asleep or not.
                    await asyncio.sleep(IDLE_S * rng.uniform(0.9, 1.7))

            talks = [chat(devices[2 * n], n, recv_id=f"b{n}") for n in range(pairs)]
            await asyncio.gather(*talks, chat(devices[3], 99, group_id=group))
            for number in range(pairs):
                name = f"si_a{number}_b{number}"
                for device in devices[2 * number : 2 * number + 2]:
                    await device.wait_for(name, count)
                    assert device.seqs(name) == list(range(1, count + 1))
                    assert [m.clientMsgID for m in device.pushed(name)] == [f"{number}-{i}" for i in range(count)]
            last = (await devices[0].newest())[f"sg_{group}"]
            for device in devices:
                await device.wait_for(f"sg_{group}", last)
                texts = [m.clientMsgID for m in device.pushed(f"sg_{group}") if m.contentType == 101]
                assert texts == [f"99-{index}" for index in range(count)]
                assert device.seqs(f"sg_{group}") == list(range(1, last + 1))
        assert await node.terminate() == 0
    finally:
        node.close()
    assert check(node.data_dir) == []
