"""What a node refuses at its door, seen from outside: sizes, lists, roles and forged notifications, each with the
protocol's answer and the field's name; and what it tells those who ask whether it is up."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.tests.kit.wire_kit import ANSWER_LIMIT_S, Device, text_message
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

KIB, MIB = 1024, 2**20
USERS = ("alice", "bob", "official")


class Door(NamedTuple):
    node: NodeProcess
    tokens: dict[str, str]
    client: httpx.AsyncClient

    async def post(self, path: str, body: Any, user: str = "alice", **headers: str) -> httpx.Response:
        sent = {"operationID": "op", **headers} | ({"token": self.tokens[user]} if user else {})
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post(path, content=content, headers=sent)

    async def answer(self, path: str, body: Any, user: str = "alice", **headers: str) -> tuple[int, str]:
        """(errCode, errDlt), with HTTP 200."""
        response = await self.post(path, body, user, **headers)
        assert response.status_code == 200
        envelope = response.json()
        return envelope["errCode"], envelope["errDlt"]

    async def data(self, path: str, body: Any, user: str = "alice") -> Any:
        envelope = (await self.post(path, body, user)).json()
        assert envelope["errCode"] == 0, envelope
        return envelope.get("data")

    async def device(self, user: str) -> Device:
        return await Device.open(self.node, user, self.tokens[user], gzip=True)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[NodeProcess, dict[str, str]]]:
    node = NodeProcess(tmp_path_factory.mktemp("door"))

    async def begin() -> dict[str, str]:
        await node.start()
        async with Api(node.api_url) as api:
            admin = await api.admin_token(SECRET)
            await api.register(*USERS, admin_token=admin)
            tokens = {user: await api.user_token(user, platform_id=5, admin_token=admin) for user in USERS}
            info = {"userID": "official", "appMangerLevel": 2}
            await api.call("/user/update_user_info", {"userInfo": info}, admin)
            await api.create_group("alice", ["bob", "official"], name="g", token=admin, group_id="group")
            return {**tokens, "imAdmin": admin}

    tokens = asyncio.run(begin())
    yield node, tokens
    node.close()


@pytest.fixture
async def door(running: tuple[NodeProcess, dict[str, str]]) -> AsyncIterator[Door]:
    node, tokens = running
    async with httpx.AsyncClient(base_url=node.api_url, trust_env=False, timeout=30) as client:
        yield Door(node, tokens, client)


def user_info(**fields: Any) -> dict[str, Any]:
    return {"userInfo": {"userID": "alice", **fields}}


def group_info(**fields: Any) -> dict[str, Any]:
    return {"ownerUserID": "alice", "groupInfo": {"groupType": 2, "groupName": "n", **fields}}


def registered(**fields: Any) -> dict[str, Any]:
    return {"users": [{"userID": "new", "nickname": "n", **fields}]}


TEXTS = [
    ("/user/user_register", registered(userID="u" * 20_000), "imAdmin", "userID", 64),
    ("/user/user_register", registered(userID="u" * 65), "imAdmin", "userID", 64),
    ("/user/user_register", registered(nickname="n" * 1025), "imAdmin", "nickname", KIB),
    ("/user/user_register", registered(faceURL="f" * 2049), "imAdmin", "faceURL", 2 * KIB),
    ("/user/user_register", registered(ex="e" * 8193), "imAdmin", "ex", 8 * KIB),
    ("/user/update_user_info", user_info(nickname="n" * MIB), "alice", "nickname", KIB),
    ("/user/update_user_info_ex", user_info(nickname="n" * 1025), "alice", "nickname", KIB),
    ("/user/update_user_info_ex", user_info(ex="\u00fc" * 4097), "alice", "ex", 8 * KIB),
    ("/group/create_group", group_info(groupID="g" * 60_000), "alice", "groupID", 128),
    ("/group/create_group", group_info(groupID="g" * 129), "alice", "groupID", 128),
    ("/group/create_group", group_info(groupName="g" * (2 * MIB - 200)), "alice", "groupName", KIB),
    ("/group/create_group", group_info(introduction="i" * 4097), "alice", "introduction", 4 * KIB),
    ("/group/create_group", group_info(notification="i" * 8193), "alice", "notification", 8 * KIB),
    ("/group/create_group", group_info(ex="e" * 8193), "alice", "ex", 8 * KIB),
    ("/auth/parse_token", {"token": "t" * 8193}, "", "token", 8 * KIB),
]


@pytest.mark.parametrize(("path", "body", "user", "name", "limit"), TEXTS)
async def test_long_text(door: Door, path: str, body: Any, user: str, name: str, limit: int) -> None:
    assert await door.answer(path, body, user) == (1001, f"{name} is longer than {limit} bytes")


async def test_long_operation_id(door: Door) -> None:
    answer = await door.answer("/msg/get_server_time", {}, operationID="o" * 257)
    assert answer == (1001, "operationID is longer than 256 bytes")


IDS = [f"u{number}" for number in range(1001)]
LISTS = [
    ("/user/get_users_info", {"userIDs": IDS}, "userIDs"),
    ("/user/get_users_info", {"userIDs": ["a"] * 1001}, "userIDs"),
    ("/user/get_users_status", {"userIDs": IDS}, "userIDs"),
    ("/user/account_check", {"checkUserIDs": IDS}, "checkUserIDs"),
    ("/user/get_users_online_status", {"userIDs": IDS}, "userIDs"),
    ("/user/user_register", {"users": [{"userID": one, "nickname": "n"} for one in IDS]}, "users"),
    ("/group/get_groups_info", {"groupIDs": IDS}, "groupIDs"),
    ("/group/get_group_abstract_info", {"groupIDs": IDS}, "groupIDs"),
    ("/group/get_group_members_info", {"groupID": "group", "userIDs": IDS}, "userIDs"),
    ("/group/create_group", {**group_info(), "adminUserIDs": IDS}, "adminUserIDs"),
    ("/group/create_group", {**group_info(), "memberUserIDs": IDS}, "memberUserIDs"),
    ("/group/get_incremental_group_members_batch", {"reqList": [{"groupID": one} for one in IDS]}, "reqList"),
    ("/conversation/get_conversations", {"ownerUserID": "alice", "conversationIDs": IDS}, "conversationIDs"),
    ("/jssdk/get_conversations", {"conversationIDs": IDS}, "conversationIDs"),
    ("/friend/get_designated_friends", {"ownerUserID": "alice", "friendUserIDs": IDS}, "friendUserIDs"),
]


@pytest.mark.parametrize(("path", "body", "name"), LISTS)
async def test_long_list(door: Door, path: str, body: Any, name: str) -> None:
    assert await door.answer(path, body, "imAdmin") == (1001, f"{name} has more than 1000 elements")


async def test_many_seqs(door: Door) -> None:
    body = {"userID": "alice", "conversationID": "si_alice_bob", "hasReadSeq": 1, "seqs": [1] * 10_001}
    answer = await door.answer("/msg/mark_conversation_as_read", body)
    assert answer == (1001, "seqs has more than 10000 elements")


HUGE = {
    "100,000 ids": ("/user/get_users_info", b'{"userIDs":[' + b'"u",' * 100_000 + b'"u"]}', 1001),
    "20,000 admins": (
        "/group/create_group",
        json.dumps({**group_info(), "adminUserIDs": [f"u{number}" for number in range(20_000)]}).encode(),
        1001,
    ),
    "unknown key with objects": ("/user/get_users_info", b'{"x":[' + b"{}," * 500_000 + b'{}],"userIDs":["a"]}', 1001),
    "300,000 unknown keys": (
        "/user/get_users_info", b'{"userIDs":["a"],' + b'"x":1,' * 300_000 + b'"x":1}', 1001,
    ),
    "12 MB of ids": ("/user/get_users_status", b'{"userIDs":[' + b'"uuuuuuuu",' * 1_100_000 + b'"u"]}', 1001),
    "three megabytes": ("/user/get_users_info", b'{"userIDs":["alice"]}' + b" " * (3 * MIB), 1001),
    "two megabytes": ("/user/get_users_info", b'{"userIDs":["alice"]}' + b" " * (2 * MIB - 30), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE)
async def test_huge_body(door: Door, name: str) -> None:
    path, body, code = HUGE[name]
    assert (await door.answer(path, body))[0] == code


@pytest.mark.parametrize("path", ["/auth/parse_token", "/auth/get_admin_token", "/greenroom/status"])
async def test_body_without_token_is_at_most_64_kib(door: Door, path: str) -> None:
    body = b'{"token":"x","secret":"x","userID":"u"}'
    at_limit = await door.answer(path, body + b" " * (64 * KIB - len(body)), "")
    assert at_limit[0] != 0
    assert "longer" not in at_limit[1]
    assert await door.answer(path, body + b" " * (64 * KIB), "") == (1001, "the body is longer than 65536 bytes")


@pytest.mark.parametrize("path", ["/user/user_register", "/msg/send_msg", "/user/get_users_online_status"])
async def test_role_is_checked_before_the_body(door: Door, path: str) -> None:
    for body in (b"{", b"\xff", b'{"users":[' + b"{}," * 300_000 + b"{}]}"):
        assert (await door.answer(path, body))[0] == 1002


async def test_page_of_more_than_a_thousand(door: Door) -> None:
    users = [{"userID": f"row{number}", "nickname": "n"} for number in range(600)]
    for part in (0, 1):
        body = {"users": [{**user, "userID": f"{user['userID']}_{part}"} for user in users]}
        assert await door.data("/user/user_register", body, "imAdmin") is None
    page = {"pageNumber": 1, "showNumber": 2**31 - 1}
    for path, key in (("/user/get_all_users_uid", "userIDs"), ("/user/get_users", "users")):
        first = await door.data(path, {"pagination": page})
        assert len(first[key]) == 1000
        assert first["total"] >= 1200
        second = await door.data(path, {"pagination": {**page, "pageNumber": 2}})
        assert len(second[key]) == first["total"] - 1000
        assert second["total"] == first["total"]


async def test_repeats_are_answered_once(door: Door) -> None:
    async with await door.device("alice") as alice:
        await alice.sent(text_message("alice", "bob"))
    users = await door.data("/user/get_users_info", {"userIDs": ["bob", "alice", "bob"]})
    assert [user["userID"] for user in users["usersInfo"]] == ["bob", "alice"]
    groups = await door.data("/group/get_groups_info", {"groupIDs": ["group", "group"]})
    assert len(groups["groupInfos"]) == 1
    ids = {"ownerUserID": "alice", "conversationIDs": ["si_alice_bob", "si_alice_bob"]}
    assert len((await door.data("/conversation/get_conversations", ids))["conversations"]) == 1
    assert len((await door.data("/jssdk/get_conversations", ids))["conversations"]) == 1
    members = await door.data("/group/get_group_members_info", {"groupID": "group", "userIDs": ["bob", "bob"]})
    assert len(members["members"]) == 1


SENDS: dict[str, dict[str, Any]] = {
    "recvID of 700 KB": {"recv_id": "b" * 700_000},
    "groupID": {"group_id": "g" * 700_000},
    "clientMsgID": {"clientMsgID": "c" * 700_000},
    "clientMsgID past the limit": {"clientMsgID": "c" * 129, "content": b"x" * 500},
    "ex": {"ex": "e" * 8193},
    "attachedInfo": {"attachedInfo": "a" * 16_385},
    "senderNickname": {"senderNickname": "n" * 1025},
    "senderFaceURL": {"senderFaceURL": "f" * 2049},
    "offlinePushInfo": {"offlinePushInfo": sdkws_pb2.OfflinePushInfo(desc="d" * 4097)},
    "atUserIDList": {"atUserIDList": ["u"] * 1001},
    "options": {"options": {f"o{number}": True for number in range(65)}},
    "content": {"content": b"x" * (508 * KIB + 1)},
    "content and all": {"content": b"x" * (508 * KIB - 100), "ex": "e" * 1000},
}


@pytest.mark.parametrize("name", SENDS)
async def test_long_field_of_a_message(door: Door, name: str) -> None:
    async with await door.device("alice") as alice:
        response = await alice.send(text_message("alice", **{"recv_id": "bob"} | SENDS[name]))
        assert response.err_code == 1001
        assert response.err_msg.startswith("ArgsError: ")
        await alice.sent(text_message("alice", "bob", content=b"x" * 500 * KIB))


@pytest.mark.parametrize("field", ["operation_id", "msg_incr"])
async def test_long_id_of_a_frame(door: Door, field: str) -> None:
    async with await door.device("alice") as alice:
        data = text_message("alice", "bob").SerializeToString()
        waiting = await alice.ask(RequestId.SEND_MESSAGE, data, **{field: "o" * 300_000})
        async with asyncio.timeout(ANSWER_LIMIT_S):
            while not alice.strays and not waiting.done():
                alice.changed.clear()
                await alice.changed.wait()
        response = alice.strays[0] if alice.strays else waiting.result()
        assert response.err_code == 1001
        assert len(response.operation_id) <= 256
        assert len(response.msg_incr) <= 256


async def test_many_ids_in_a_frame(door: Door) -> None:
    ids = [f"si_alice_{number}" for number in range(1001)]
    states = msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID="alice", conversationIDs=ids)
    seqs = msg_pb2.GetSeqMessageReq(userID="alice")
    seqs.conversations.add(conversationID="si_alice_bob", seqs=[1] * 10_001)
    async with await door.device("alice") as alice:
        assert (await alice.answer(RequestId.SEQ_STATES, states.SerializeToString())).err_code == 1001
        assert (await alice.answer(RequestId.PULL_BY_SEQS, seqs.SerializeToString())).err_code == 1001


FORGED = {"isNotNotification": False, "isSendMsg": False}


@pytest.mark.parametrize("content_type", [1000, 1511, 1703, 2101, 2102, 2200, 5000])
@pytest.mark.parametrize("options", [{}, FORGED], ids=["plain", "forged"])
async def test_forged_notification(door: Door, content_type: int, options: dict[str, bool]) -> None:
    forged: dict[str, Any] = {"contentType": content_type, "msgFrom": 200, "options": options}
    async with await door.device("alice") as alice, await door.device("bob") as bob:
        for message in (text_message("bob", "alice", **forged), text_message("bob", group_id="group", **forged)):
            response = await bob.send(message)
            assert (response.err_code, response.err_msg) == (1002, "NoPermissionError")
        last = f"after {content_type} {len(options)}"
        await bob.sent(text_message("bob", "alice", clientMsgID=last))
        async with asyncio.timeout(ANSWER_LIMIT_S):
            while not any(message.clientMsgID == last for _, message in alice.pushes):
                alice.changed.clear()
                await alice.changed.wait()
        assert all(message.contentType != content_type for _, message in alice.pushes)


async def test_who_may_send_notifications(door: Door) -> None:
    """Typing, custom types and the edges of the range stay; so do users of level 2."""
    async with await door.device("bob") as bob, await door.device("official") as official:
        for content_type in (101, 110, 111, 113, 119, 120, 200, 203, 999, 5001):
            await bob.sent(text_message("bob", "alice", contentType=content_type))
            await bob.sent(text_message("bob", group_id="group", contentType=content_type))
        await official.sent(text_message("official", "alice", contentType=2001, options=FORGED))
        await official.sent(text_message("official", group_id="group", contentType=2001, options=FORGED))


SEND = {"sendID": "alice", "recvID": "bob", "content": {"content": "t"}, "contentType": 101, "sessionType": 1}


async def test_send_msg_with_bytes_that_are_no_utf8(door: Door) -> None:
    body = json.dumps(SEND).encode().replace(b'"t"', b'"\xff\xfe"')
    response = await door.post("/msg/send_msg", body, "imAdmin")
    assert (response.status_code, response.json()["errCode"]) == (400, 1001)
    assert "Traceback" not in door.node.log


@pytest.mark.parametrize("field", ["sendTime", "senderPlatformID", "contentType", "sessionType"])
async def test_send_msg_with_a_number_past_its_type(door: Door, field: str) -> None:
    response = await door.post("/msg/send_msg", {**SEND, field: 2**70}, "imAdmin")
    assert response.json()["errCode"] == 1001
    assert "Traceback" not in door.node.log


async def test_send_msg_without_receiver(door: Door) -> None:
    for body in ({**SEND, "recvID": ""}, {name: SEND[name] for name in SEND if name != "recvID"}):
        response = await door.post("/msg/send_msg", body, "imAdmin")
        assert (response.status_code, response.json()["errCode"]) == (400, 1001)


async def test_send_msg_past_the_limit(door: Door) -> None:
    for body in (
        {**SEND, "content": {"content": "x" * (508 * KIB)}},
        {**SEND, "ex": "e" * 8193},
        {**SEND, "recvID": "b" * 129},
        {**SEND, "offlinePushInfo": {"title": "t" * 1025}},
    ):
        assert (await door.answer("/msg/send_msg", body, "imAdmin"))[0] == 1001


async def test_gzip_that_is_not_wanted(door: Door) -> None:
    body = {"userIDs": [f"u{number}" for number in range(200)]}
    refused = await door.post("/user/get_users_status", body, **{"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers
    wanted = await door.post("/user/get_users_status", body, **{"Accept-Encoding": "gzip;q=0.5"})
    assert wanted.headers["content-encoding"] == "gzip"


async def test_trailing_slash(door: Door) -> None:
    response = await door.post("/user/get_users_info/?a=b", {"userIDs": ["bob"]})
    assert (response.status_code, response.headers["location"]) == (307, "/user/get_users_info?a=b")
    response = await door.client.get("/healthz/")
    assert (response.status_code, response.headers["location"]) == (301, "/healthz")
    assert (await door.client.get("//evil.example/")).status_code == 404


async def test_object_that_is_not_there(door: Door) -> None:
    assert (await door.client.get("/object/x")).status_code == 404


async def test_ready(door: Door) -> None:
    assert (await door.client.get("/healthz")).json() == {"status": "ok"}
    response = await door.client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"status": "ready"})


async def test_bodies_of_one_user(tmp_path: Path) -> None:
    """They share a quarter of the room for all bodies; another user's long body is not evicted for them."""
    env = {"GREENROOM_HTTP_MAX_BODY_BYTES": str(2 * MIB), "GREENROOM_HTTP_BODIES_LIMIT_BYTES": str(16 * MIB)}
    async with NodeProcess(tmp_path, env=env) as node:
        tokens = await node.tokens("mallory", "alice")

        async def begun(user: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection("127.0.0.1", node.api_port)
            head = f"POST /user/get_users_info HTTP/1.1\r\nHost: x\r\noperationID: o\r\ntoken: {tokens[user]}\r\n"
            writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % (2 * MIB))
            writer.write(b'{"userIDs":["alice"]' + b" " * (2 * MIB - 22))
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            return reader, writer

        async def status(reader: asyncio.StreamReader) -> bytes:
            return (await reader.readline())[9:12]

        honest, honest_writer = await begun("alice")
        refused = 0
        slow = [await begun("mallory") for _ in range(6)]
        answers = [asyncio.create_task(status(reader)) for reader, _ in slow]
        async with asyncio.timeout(ANSWER_LIMIT_S):
            while refused < 4:
                await asyncio.wait([one for one in answers if not one.done()], return_when=asyncio.FIRST_COMPLETED)
                refused = sum(one.done() and one.result() == b"503" for one in answers)
            honest_writer.write(b" }")
            assert await status(honest) == b"200"
        for one in answers:
            one.cancel()
        for _, writer in (*slow, (honest, honest_writer)):
            writer.transport.abort()
