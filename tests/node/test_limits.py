"""`[limits]` from outside: what comes too often is refused, counted and told when to come again. Others go on."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.asyncio.client import connect

from greenroom.tests.kit.disk_faults import no_room
from greenroom.tests.kit.node_kit import LIMITED, SECRET, NodeProcess
from greenroom.tests.kit.wire_kit import Device, Pair, dial_url, text_message
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

SLOW = {"GREENROOM_LIMITS_SENDS_PER_S": "0.001", "GREENROOM_LIMITS_SENDS_BURST": "20"}
STORE_UNAVAILABLE = 90002
PROXIED = {"GREENROOM_LIMITS_TRUSTED_PROXIES": "127.0.0.1"}
TIGHT = {"GREENROOM_LIMITS_ANONYMOUS_PER_S": "0.01", "GREENROOM_LIMITS_ANONYMOUS_BURST": "30"}


@asynccontextmanager
async def http(node: NodeProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=node.api_url, trust_env=False, timeout=30) as client:
        yield client


async def post(client: httpx.AsyncClient, path: str, body: Any, **headers: str) -> httpx.Response:
    return await client.post(path, json=body, headers={"operationID": "op", **headers})


async def limited(node: NodeProcess) -> dict[str, int]:
    """The counters of the status, which are those of the metrics."""
    async with Api(node.api_url) as api, http(node) as client:
        status = await api.call("/greenroom/status", {"secret": SECRET})
        page = (await client.get("/metrics")).text
    shown = {
        sample.name.removeprefix("greenroom_limited_").removesuffix("_total"): int(sample.value)
        for family in text_string_to_metric_families(page)
        for sample in family.samples
        if sample.name.startswith("greenroom_limited_")
    }
    counts: dict[str, int] = status["limited"]
    assert list(shown.values()) == list(counts.values())
    return counts


def is_refused(answer: httpx.Response) -> bool:
    """Whether it came too often. Then it is refused in the protocol's terms, and told when to come again."""
    envelope = answer.json()
    if answer.status_code != 429:
        return False
    assert (envelope["errCode"], envelope["errMsg"]) == (500, "ServerInternalError")
    assert "too many" in envelope["errDlt"]
    assert int(answer.headers["retry-after"]) >= 1
    return True


async def test_sends_of_a_user(tmp_path: Path) -> None:
    """All connections of a user count together; another user is not limited, nor is an admin."""
    async with NodeProcess(tmp_path, env=LIMITED | SLOW) as node:
        phone = (await node.tokens("alice", "bob", platform_id=2))["alice"]
        tokens = await node.tokens("alice", "bob")
        async with (
            await Device.open(node, "alice", tokens["alice"]) as first,
            await Device.open(node, "alice", phone, platform_id=2) as second,
            await Device.open(node, "bob", tokens["bob"]) as bob,
        ):
            answers = []
            for number in range(50):
                answer = await (first, second)[number % 2].send(text_message("alice", "bob"))
                answers.append((answer.err_code, answer.err_msg))
            assert answers == [(0, "")] * 20 + [(500, "ServerInternalError: too many sends")] * 30
            assert (await bob.send(text_message("bob", "alice"))).err_code == 0
            # The connection is as good as before.
            assert (await first.newest())["si_alice_bob"] == 21
        async with Api(node.api_url) as api:
            admin = await api.admin_token(SECRET)
            for _ in range(25):
                body = {
                    "sendID": "imAdmin", "recvID": "bob", "content": {"content": "x"}, "contentType": 101,
                    "sessionType": 1,
                }  # fmt: skip
                await api.call("/msg/send_msg", body, admin)
        assert await limited(node) == {"sends": 30, "changes": 0, "anonymous": 0, "wrongSecrets": 0}
        assert "more sends than limits.sends_per_s allows: 1 refused (1 of user 'alice')" in node.log
        await node.terminate()
        refusals = re.findall(r"limits\.sends_per_s allows: (\d+) refused", node.log)
        assert sum(map(int, refusals)) == 30


async def test_send_that_the_store_refuses_does_not_count(tmp_path: Path) -> None:
    """A client repeats it until it is stored, and has its whole burst then."""
    async with NodeProcess(tmp_path, env=LIMITED | SLOW) as node:
        tokens = await node.tokens("alice", "bob")
        async with await Device.open(node, "alice", tokens["alice"]) as alice:
            assert (await alice.send(text_message("alice", "bob"))).err_code == 0
            refused = text_message("alice", "bob", clientMsgID="the same", content=b"x" * 6000)
            with no_room(node.writer):
                for _ in range(30):
                    assert (await alice.send(refused)).err_code == STORE_UNAVAILABLE
            codes = [(await alice.send(refused)).err_code]
            while codes[-1] == STORE_UNAVAILABLE:
                codes.append((await alice.send(refused)).err_code)
            assert codes[-1] == 0
            for _ in range(18):
                assert (await alice.send(text_message("alice", "bob"))).err_code == 0
            assert (await alice.send(text_message("alice", "bob"))).err_code == 500
        assert (await limited(node))["sends"] == 1


async def test_loopback_is_exempt(tmp_path: Path) -> None:
    async with NodeProcess(tmp_path, env=SLOW | TIGHT) as node:
        token = (await node.tokens("alice", "bob"))["alice"]
        async with await Device.open(node, "alice", token) as alice, http(node) as client:
            for _ in range(50):
                assert (await alice.send(text_message("alice", "bob"))).err_code == 0
                assert (await post(client, "/auth/parse_token", {"token": "x"})).status_code == 200
        assert set((await limited(node)).values()) == {0}


async def test_changes_of_a_user(tmp_path: Path) -> None:
    """A script makes groups as fast as it can."""
    async with NodeProcess(tmp_path, env=LIMITED) as node, http(node) as client:
        tokens = await node.tokens("alice", "bob")

        async def create(user_id: str, number: int) -> httpx.Response:
            group = {"groupName": f"g{number}", "groupType": 2}
            body = {"ownerUserID": user_id, "memberUserIDs": [], "groupInfo": group}
            return await post(client, "/group/create_group", body, token=tokens[user_id])

        answers = [await create("alice", number) for number in range(200)]
        refused = sum(map(is_refused, answers))
        assert not any(map(is_refused, answers[:120]))
        assert refused >= 20
        assert not is_refused(await create("bob", 0))
        # Reads are not changes.
        body = {"fromUserID": "alice", "pagination": {"pageNumber": 1, "showNumber": 1}}
        groups = await post(client, "/group/get_joined_group_list", body, token=tokens["alice"])
        assert groups.json()["data"]["total"] == 200 - refused
        assert (await limited(node))["changes"] == refused


async def test_changes_count_by_their_rows(tmp_path: Path) -> None:
    """100 groups of 1,000 members at once had held the store for 11 seconds, within the limit of changes. Now the
    seventh has to wait. The user's next small change waits too, and another user's does not."""
    async with NodeProcess(tmp_path, env=LIMITED) as node, http(node) as client:
        members = [f"m{number}" for number in range(1000)]
        tokens = await node.tokens("alice", "bob")
        async with Api(node.api_url) as api:
            admin = await api.admin_token(SECRET)
            users = [{"userID": user_id, "nickname": user_id} for user_id in members]
            await api.call("/user/user_register", {"users": users}, admin)

        async def create(user_id: str, size: int) -> httpx.Response:
            group = {"groupName": "g", "groupType": 2}
            body = {"ownerUserID": user_id, "memberUserIDs": members[:size], "groupInfo": group}
            return await post(client, "/group/create_group", body, token=tokens[user_id])

        answers = [await create("alice", 1000) for _ in range(10)]
        done = sum(answer.status_code == 200 and answer.json()["errCode"] == 0 for answer in answers)
        assert 6 <= done <= 8  # Some tokens are refilled while the groups are made.
        assert all(map(is_refused, answers[done:]))
        assert is_refused(await create("alice", 1000))
        assert (await create("bob", 1)).json()["errCode"] == 0
        assert (await limited(node))["changes"] >= 11 - done


async def test_new_nickname_counts_by_the_groups_that_are_told(tmp_path: Path) -> None:
    slow = {"GREENROOM_LIMITS_CHANGES_PER_S": "0.001", "GREENROOM_LIMITS_CHANGES_BURST": "20"}
    async with NodeProcess(tmp_path, env=LIMITED | slow) as node, http(node) as client:
        tokens = await node.tokens("alice", "bob")
        async with Api(node.api_url) as api:
            admin = await api.admin_token(SECRET)
            for number in range(10):
                group = {"groupName": f"g{number}", "groupType": 2}
                await api.call("/group/create_group", {"ownerUserID": "alice", "groupInfo": group}, admin)

        async def change(user_id: str, **values: str) -> bool:
            body = {"userInfo": {"userID": user_id, **values}}
            return is_refused(await post(client, "/user/update_user_info", body, token=tokens[user_id]))

        # Each counts as one change and two more for ten groups; a picture is told, too, and a text of `ex` is not.
        told = [await change("alice", **{("nickname", "faceURL")[number % 2]: f"n{number}"}) for number in range(9)]
        assert told == [False] * 7 + [True] * 2
        assert [await change("bob", nickname=f"n{number}") for number in range(22)] == [False] * 20 + [True] * 2
        assert await change("alice", ex="text")


async def test_messages_count_by_their_unfolded_bytes(tmp_path: Path) -> None:
    """A message of 500 KB is a frame of 900 bytes. 500 of them had filled 222 MB of the disk within the burst."""
    async with NodeProcess(tmp_path, env=LIMITED) as node:
        tokens = await node.tokens("alice", "bob")
        async with await Device.open(node, "alice", tokens["alice"], gzip=True) as alice:
            content = b'{"content":"%b"}' % (b"x" * 500_000)
            codes = [
                (await alice.send(text_message("alice", "bob", content=content))).err_code for _ in range(15)
            ]
        done = codes.index(500)
        assert codes == [0] * done + [500] * (15 - done)
        assert 9 <= done <= 12
        assert (await limited(node))["sends"] == 15 - done


async def test_requests_without_a_token(tmp_path: Path) -> None:
    """Those of one address, on all roads in. Clients with a token go on, from the same address too."""
    async with NodeProcess(tmp_path, env=LIMITED | PROXIED | TIGHT) as node, http(node) as client:
        tokens = await node.tokens("alice", "bob", "carol")
        script, other = ({"x-forwarded-for": f"1.1.1.1, {address}"} for address in ("192.0.2.1", "192.0.2.2"))
        stale = (await node.tokens("carol"))["carol"]
        async with Api(node.api_url) as api:
            admin = await api.admin_token(SECRET)
            await api.call("/auth/force_logout", {"userID": "carol", "platformID": 5}, admin)
        roads: list[Callable[[], Awaitable[httpx.Response]]] = [
            lambda: post(client, "/auth/parse_token", {"token": "x"}, **script),
            lambda: post(client, "/auth/get_admin_token", {"secret": "", "userID": "x"}, **script),
            lambda: post(client, "/group/create_group", {}, **script),
            lambda: post(client, "/group/create_group", {}, token="x", **script),
            lambda: post(client, "/group/get_groups_info", {"groupIDs": ["g"]}, token=stale, **script),
            lambda: post(client, "/no/such/route", {}, **script),
            lambda: client.get("/no/such/page", headers=script),
            lambda: client.get("/metrics", headers=script),
        ]
        for number in range(30):
            assert (await roads[number % len(roads)]()).status_code != 429
        for road in roads:
            assert is_refused(await road())
        assert (await client.get("/healthz", headers=script)).status_code == 200
        async with Pair(node, tokens, ("alice", "bob"), body="as before") as pair, pair.chatting():
            for _ in range(20):
                assert is_refused(await roads[0]())
            url = dial_url(node, "alice", "rubbish", isMsgResp="true")
            async with connect(url, compression=None, proxy=None, additional_headers=script) as socket:
                assert json.loads(await socket.recv())["errCode"] == 500
            async with connect(url, compression=None, proxy=None, additional_headers=other) as socket:
                assert json.loads(await socket.recv())["errCode"] == 1503
        headers = {"token": tokens["alice"], **script}
        for _ in range(50):
            assert (await post(client, "/group/get_groups_info", {"groupIDs": ["g"]}, **headers)).status_code == 200
            parsed = await post(client, "/auth/parse_token", {"token": tokens["alice"]}, **other)
            assert parsed.json()["errCode"] == 0
        assert (await limited(node))["anonymous"] == len(roads) + 21
        assert "limits.anonymous_per_s allows: 1 refused (1 of 192.0.2.1)" in node.log


async def test_admin_secret_that_is_guessed(node: NodeProcess) -> None:
    """200 guesses, as fast as they are answered: few are compared, the log names the address, and nobody else waits."""
    tokens = await node.tokens("alice", "bob")
    async with http(node) as client, Pair(node, tokens, ("alice", "bob"), body="beside a guesser") as pair:
        async with pair.chatting():
            answers = [
                await post(client, path, {"secret": f"guess-{number}", "userID": "imAdmin"})
                for number in range(100)
                for path in ("/auth/get_admin_token", "/greenroom/status")
            ]
        waits = [int(answer.headers["retry-after"]) for answer in answers if is_refused(answer)]
        compared = len(answers) - len(waits)
        assert compared < 20
        assert all(answer.json()["errCode"] == 1002 for answer in answers if answer.status_code == 200)
        # The right secret has to wait as well, from this address.
        right = await post(client, "/auth/get_admin_token", {"secret": SECRET, "userID": "imAdmin"})
        assert is_refused(right) or right.json()["errCode"] == 0
        page = (await client.get("/metrics")).text
    assert f"greenroom_limited_wrong_secrets_total {compared}.0" in page
    assert f"greenroom_limited_anonymous_total {len(waits) + is_refused(right)}.0" in page
    told = [line for line in node.log.splitlines() if "wrong admin secret" in line]
    assert 1 <= len(told) < 10
    assert all("127.0.0.1" in line for line in told)
    assert "guess-" not in node.log


async def test_guesses_at_once(node: NodeProcess) -> None:
    async with http(node) as client:
        answers = await asyncio.gather(
            *(
                post(client, "/auth/get_admin_token", {"secret": f"guess-{number}", "userID": "imAdmin"})
                for number in range(60)
            )
        )
    assert sum(is_refused(answer) for answer in answers) > 40


GARBAGE = {
    "a handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500) + b"\r\n\r\n",
    "no method": b"\r\n\r\nrubbish\r\n\r\n",
    "a method that is none": b"{} / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    "a head that is too long": b"GET / HTTP/1.1\r\n" + b"x: " + b"x" * 70_000 + b"\r\n\r\n",
}


async def sent_raw(port: int, data: bytes) -> bytes:
    """What the node answers until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        async with asyncio.timeout(20):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("road", ["ws", "api"])
async def test_garbage_counts_as_requests_without_a_token(tmp_path: Path, road: str) -> None:
    async with NodeProcess(tmp_path, env=LIMITED | TIGHT) as node, http(node) as client:
        tokens = await node.tokens("alice", "bob")
        port = node.ws_port if road == "ws" else node.api_port
        before = (await limited(node))["anonymous"]
        answers = [await sent_raw(port, data) for _ in range(8) for data in GARBAGE.values()]
        assert all(answer[9:12] in (b"400", b"431") for answer in answers[:15]), answers
        assert all(answer.startswith(b"HTTP/1.1 429 Too Many Requests\r\n") for answer in answers[-5:]), answers
        assert all(b"\r\nretry-after: " in answer.lower() for answer in answers[-5:])
        assert is_refused(await post(client, "/auth/parse_token", {"token": "x"}))
        body = {"groupIDs": ["g"]}
        for _ in range(10):
            assert (await post(client, "/group/get_groups_info", body, token=tokens["alice"])).status_code == 200
        async with Pair(node, tokens, ("alice", "bob"), body="beside garbage") as pair, pair.chatting():
            await sent_raw(port, b"rubbish\r\n\r\n")
        page = (await client.get("/metrics", headers={"token": tokens["alice"]})).text
        assert before == 0
        assert "greenroom_limited_anonymous_total 0.0" not in page
        assert "limits.anonymous_per_s allows: 1 refused (1 of 127.0.0.1)" in node.log
