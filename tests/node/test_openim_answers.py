"""Calls that a real OpenIM was seen to answer otherwise than Greenroom did, each with the right answer."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import httpx

from greenroom.actors.wire import msg_pb2, push_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import ContentType, RequestId
from greenroom.tests.kit.node_kit import SECRET
from greenroom.tests.kit.wire_kit import Device, text_message
from greenroom.transport.client.api import Api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from greenroom.tests.kit.node_kit import NodeProcess

OA = {"notificationName": "n", "notificationType": 1, "text": "t", "mixType": 0}


@contextlib.asynccontextmanager
async def online(node: NodeProcess, *users: str) -> AsyncIterator[list[Device]]:
    tokens = await node.tokens(*users)
    async with contextlib.AsyncExitStack() as stack:
        yield [await stack.enter_async_context(await Device.open(node, user, tokens[user])) for user in users]


@contextlib.asynccontextmanager
async def admin_api(node: NodeProcess) -> AsyncIterator[tuple[Api, str]]:
    async with Api(node.api_url) as api:
        yield api, await api.admin_token(SECRET)


async def post(node: NodeProcess, path: str, body: dict[str, Any], token: str) -> tuple[int, int]:
    """(HTTP status, errCode) of the answer."""
    async with httpx.AsyncClient(base_url=node.api_url, trust_env=False) as client:
        answer = await client.post(path, json=body, headers={"operationID": "op", "token": token})
    return answer.status_code, answer.json()["errCode"]


def tips_of(message: sdkws_pb2.MsgData) -> dict[str, Any]:
    tips: dict[str, Any] = json.loads(json.loads(message.content)["detail"])
    return tips


async def seq_states(device: Device, *ids: str) -> dict[str, tuple[int, int, int]]:
    request = msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID=device.user_id, conversationIDs=ids)
    response = await device.answer(RequestId.SEQ_STATES, request.SerializeToString())
    assert response.err_code == 0
    answer = msg_pb2.GetConversationsHasReadAndMaxSeqResp.FromString(response.data or b"")
    return {name: (one.maxSeq, one.hasReadSeq, one.maxSeqTime) for name, one in answer.seqs.items()}


async def test_group_created_with_an_announcement_sends_it(node: NodeProcess) -> None:
    async with online(node, "ann", "bob") as [ann, bob], admin_api(node) as (api, admin):
        info = {"groupID": "g", "groupType": 2, "groupName": "G", "notification": "Welcome"}
        body = {"ownerUserID": "ann", "memberUserIDs": ["bob"], "groupInfo": info}
        await api.call("/group/create_group", body, admin)
        await ann.wait_for("sg_g", 2)
        await ann.newest()  # All pushes of the creation have arrived before this answer.
        await bob.wait_for("sg_g", 2)
        await bob.newest()
        for device in (ann, bob):
            copies, tips = device.pushed("sg_g"), device.pushed("n_g")
            kinds = [ContentType.GROUP_CREATED, ContentType.ANNOUNCEMENT_SET]
            assert [(one.contentType, one.seq) for one in copies] == list(zip(kinds, (1, 2), strict=True))
            assert [(one.contentType, one.seq) for one in tips] == list(zip(kinds, (0, 0), strict=True))
            created, announced = (tips_of(one) for one in copies)
            assert tips_of(tips[1]) == announced
            assert announced["group"]["notification"] == "Welcome"
            assert announced["opUser"]["userID"] == "imAdmin"
            assert announced["groupMemberVersion"] == created["groupMemberVersion"]
            assert (copies[1].sendID, copies[1].groupID, copies[1].msgFrom) == ("imAdmin", "g", 200)
            assert copies[1].senderNickname == announced["opUser"]["nickname"] != ""
            assert dict(copies[1].options) == {"offlinePush": False, "unreadCount": True}
        assert [one.contentType for one in await bob.pull("sg_g", 1, 9)] == kinds
        quiet = body | {"groupInfo": info | {"groupID": "h", "notification": ""}}
        await api.call("/group/create_group", quiet, admin)
        await ann.wait_for("sg_h", 1)
        await ann.newest()
        assert [one.contentType for one in ann.pushed("sg_h")] == [ContentType.GROUP_CREATED]


async def test_seq_states_answer_each_id_that_was_asked_for(node: NodeProcess) -> None:
    async with online(node, "ann", "bob", "cid") as [ann, bob, cid], admin_api(node) as (api, admin):
        for _ in range(3):
            await bob.sent(text_message("bob", "ann"))
        read = {"userID": "ann", "conversationID": "si_ann_bob", "hasReadSeq": 3, "seqs": [1, 2, 3]}
        await api.call("/msg/mark_conversation_as_read", read, admin)  # Its notification is stored in n_ann_bob.
        asked = ["si_ann_bob", "n_ann_bob", "si_x_y", "sg_none", "n_none", "what", "si_ann_bob"]
        states = await seq_states(ann, *asked)
        assert set(states) == set(asked)
        assert states["si_ann_bob"][:2] == (3, 3)
        assert states["n_ann_bob"][:2] == (1, 0)
        assert min(states["si_ann_bob"][2], states["n_ann_bob"][2]) > 1_600_000_000_000
        assert [states[one] for one in ("si_x_y", "sg_none", "n_none", "what")] == [(0, 0, 0)] * 4
        # An outsider learns nothing.
        assert await seq_states(cid, "si_ann_bob", "n_ann_bob") == {"si_ann_bob": (0, 0, 0), "n_ann_bob": (0, 0, 0)}
        assert set(await seq_states(ann)) == {"si_ann_bob"}
        body = {"userID": "ann", "conversationIDs": ["si_x_y"]}
        data = await api.call("/msg/get_conversations_has_read_and_max_seq", body, admin)
        assert data["seqs"] == {"si_x_y": {"maxSeq": 0, "hasReadSeq": 0, "maxSeqTime": 0}}
        many = msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID="ann", conversationIDs=[f"c{n}" for n in range(1001)])
        assert (await ann.answer(RequestId.SEQ_STATES, many.SerializeToString())).err_code == 1001


async def test_profile_change_by_an_admin_is_keyed_as_its_message_says(node: NodeProcess) -> None:
    async with online(node, "ann") as [ann], admin_api(node) as (api, admin):
        async with await Device.open(node, "imAdmin", admin, platform_id=10) as boss:
            for change in ({"ex": "x"}, {"nickname": "Anna"}):
                await api.call("/user/update_user_info_ex", {"userInfo": {"userID": "ann", **change}}, admin)
            await api.call("/user/set_global_msg_recv_opt", {"userID": "ann", "globalRecvMsgOpt": 2}, admin)
            for device in (ann, boss):  # Such a notification also goes to the devices of its sender.
                await device.newest()
                assert [name for name, _ in device.pushes] == ["n_ann_imAdmin"] * 3
                for _, message in device.pushes:
                    assert (message.sendID, message.recvID) == ("imAdmin", "ann")
                    assert message.contentType == ContentType.USER_INFO_UPDATED
        token = (await node.tokens("ann", platform_id=1))["ann"]
        await api.call("/user/update_user_info_ex", {"userInfo": {"userID": "ann", "ex": "y"}}, token)
        await ann.newest()
        assert [name for name, _ in ann.pushes[3:]] == ["n_ann_ann"]


async def test_empty_question_has_an_empty_answer(node: NodeProcess) -> None:
    async with online(node, "ann", "bob") as [ann, _], admin_api(node) as (api, admin):
        await ann.sent(text_message("ann", "bob"))
        nothing = {"unreadCount": 0, "conversations": None}
        for path, body, data in (
            ("/conversation/get_owner_conversation", {"userID": "ann"}, {"total": 1, "conversations": None}),
            ("/jssdk/get_conversations", {}, nothing),
            ("/jssdk/get_conversations", {"conversationIDs": []}, nothing),
            ("/user/get_users_online_status", {}, None),
            ("/user/get_users_online_token_detail", {"userIDs": []}, None),
        ):
            assert await api.call(path, body, admin) == data, path
        bad_page = {"userID": "ann", "pagination": {"pageNumber": 0, "showNumber": 1}}
        assert await post(node, "/conversation/get_owner_conversation", bad_page, admin) == (200, 1001)


async def test_users_by_regular_expressions(node: NodeProcess) -> None:
    await node.tokens("ann", "anna", "bob", "zoe_" + "a" * 50)

    async def found(number: int = 1, size: int = 10, **filters: str) -> tuple[int, list[str]]:
        body = {"pagination": {"pageNumber": number, "showNumber": size}, **filters}
        data = await api.call("/user/get_users", body, admin)
        return data["total"], [user["userID"] for user in data["users"] or ()]

    async with admin_api(node) as (api, admin):
        assert await found(userID="^(ANN|bob)$") == (2, ["ann", "bob"])
        assert await found(2, 1, userID="(ann|bob)$") == (2, ["bob"])
        assert await found(userID="nobody", nickName="^b.b$") == (1, ["bob"])
        assert await found(userID="nn") == (2, ["ann", "anna"])
        assert (await found(userID="^zoe_(a|aa)*(a*)*b$"))[0] == 0  # With back-tracking this would never end.
        for refused in ("[", "((a{99}){99}){99}", "(?=a)", "x" * 129):
            body = {"pagination": {"pageNumber": 1, "showNumber": 9}, "nickName": refused}
            assert await post(node, "/user/get_users", body, admin) == (200, 1001)


async def test_send_to_a_group_without_its_id(node: NodeProcess) -> None:
    await node.tokens("ann")
    async with admin_api(node) as (api, admin):
        account = {"userID": "news", "nickName": "News", "appMangerLevel": 3, "nickname": "News"}
        await api.call("/user/user_register", {"users": [account]}, admin)
        body: dict[str, Any] = {"sendID": "news", "recvID": "ann", "content": OA}
        body["contentType"] = ContentType.OA_NOTIFICATION
        assert await post(node, "/msg/send_msg", body | {"sessionType": 3}, admin) == (400, 1001)
        assert await post(node, "/msg/send_msg", body | {"sessionType": 1}, admin) == (200, 0)
        text = body | {"sendID": "ann", "content": {"content": "t"}, "contentType": 101, "sessionType": 3}
        assert await post(node, "/msg/send_msg", text, admin) == (400, 1001)


async def test_message_to_a_group_by_no_member(node: NodeProcess) -> None:
    async with online(node, "ann", "bob") as [ann, bob], admin_api(node) as (api, admin):
        await api.create_group("ann", [], name="x", token=admin, group_id="g")
        assert (await bob.send(text_message("bob", group_id="g"))).err_code == 1002
        body = {"sendID": "bob", "groupID": "g", "content": {"content": "t"}, "contentType": 101, "sessionType": 3}
        assert await post(node, "/msg/send_msg", body, admin) == (200, 1203)
        assert await post(node, "/msg/send_msg", body | {"sendID": "ann"}, admin) == (200, 0)
        await ann.wait_for("sg_g", 2)


async def test_abstract_of_an_unknown_group(node: NodeProcess) -> None:
    """Members are checked first, so only admins learn that there is no such group."""
    ann = (await node.tokens("ann"))["ann"]
    async with admin_api(node) as (api, admin):
        await api.create_group("ann", [], name="x", token=admin, group_id="g")
        for ids, code in ((["g"], 0), (["none"], 1002), (["g", "none"], 1002)):
            assert await post(node, "/group/get_group_abstract_info", {"groupIDs": ids}, ann) == (200, code)
        assert await post(node, "/group/get_group_abstract_info", {"groupIDs": ["none"]}, admin) == (200, 1201)


async def test_former_member_marks_messages_as_read_for_themselves(node: NodeProcess) -> None:
    async with online(node, "ann", "bob", "cid") as [ann, bob, cid], admin_api(node) as (api, admin):
        await api.create_group("ann", ["bob", "cid"], name="x", token=admin, group_id="g")
        await ann.sent(text_message("ann", group_id="g"))
        await bob.wait_for("sg_g", 2)
        mark = {"userID": "bob", "conversationID": "sg_g", "seqs": [1]}
        await api.call("/msg/mark_msgs_as_read", mark, admin)
        await ann.wait_for("n_g", 1)
        await api.call("/group/kick_group", {"groupID": "g", "kickedUserIDs": ["bob"]}, admin)
        await api.call("/msg/mark_msgs_as_read", mark | {"seqs": [2]}, admin)
        newest = (await ann.newest())["n_g"]
        assert newest == 1
        await cid.newest()
        await bob.newest()
        assert (await seq_states(bob, "sg_g"))["sg_g"][1] == 2
        for device in (ann, bob, cid):
            marks = [one for one in device.pushed("n_g") if one.contentType == ContentType.HAS_READ]
            assert [tips_of(one)["seqs"] for one in marks] == [[1]]
        assert not [one for device in (ann, cid) for name, one in device.pushes if name == "n_bob_bob"]
        own = [tips_of(one) for one in bob.pushed("n_bob_bob") if one.contentType == ContentType.HAS_READ]
        assert [(tips["conversationID"], tips["hasReadSeq"]) for tips in own] == [("sg_g", 2)]


async def test_logout_with_a_platform(node: NodeProcess) -> None:
    for platform_id, code in ((0, 1001), (-1, 1001), (12, 1001), (5, 0), (11, 0)):
        async with online(node, "ann") as [ann]:
            request = push_pb2.DelUserPushTokenReq(userID="ann", platformID=platform_id)
            assert (await ann.answer(RequestId.LOGOUT, request.SerializeToString())).err_code == code
            await ann.closed()  # The server ends the connection after the reply, also after an error.


async def test_member_quit_notice_without_its_user_ends_nothing(node: NodeProcess) -> None:
    """One such message by a member ends a whole OpenIM server. Whether it is refused or delivered, all goes on here."""
    contents = [b'{"detail":"{}"}', b'{"detail":"{\\"quitUser\\":null}"}', b'{"detail":""}', b"{}", b"null", b"\xff"]
    async with online(node, "ann", "bob") as [ann, bob], admin_api(node) as (api, admin):
        await api.create_group("ann", ["bob"], name="x", token=admin, group_id="g")
        for content in contents:
            for options in ({}, {"isNotNotification": False}):
                notice = text_message("bob", group_id="g", content=content, msgFrom=200)
                notice.contentType = ContentType.MEMBER_QUIT
                notice.options.update(options)
                assert (await bob.send(notice)).err_code in (0, 1001, 1002)
        members = await api.call("/group/get_group_member_user_id", {"groupID": "g"}, admin)
        assert members == {"userIDs": ["ann", "bob"]}
        last = (await bob.newest())["sg_g"]
        await bob.sent(text_message("bob", group_id="g"))
        await ann.wait_for("sg_g", last + 1)
        await ann.sent(text_message("ann", group_id="g"))
        await bob.wait_for("sg_g", last + 2)
