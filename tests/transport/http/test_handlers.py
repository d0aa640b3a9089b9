"""What each service's handlers answer, and what is stored then: a real engine stands behind them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors import messages
from greenroom.actors.errors import GroupExists
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import ContentType
from greenroom.persistence.store import PutRows, Slice
from greenroom.persistence.tables import FriendRow
from greenroom.tests.kit.http_kit import ADMIN_ID, SECRET, FakeSession
from greenroom.tests.kit.stored import messages_of

if TYPE_CHECKING:
    from greenroom.tests.kit.http_kit import HttpStage

PAGE = {"pageNumber": 1, "showNumber": 10}
NOW = 1_700_000_000_000


async def user_info(http: HttpStage, user_id: str = "u1") -> dict[str, Any]:
    (info,) = (await http.data("/user/get_users_info", {"userIDs": [user_id]}))["usersInfo"]
    return info  # type: ignore[no-any-return]


async def test_admin_token(http: HttpStage) -> None:
    path = "/auth/get_admin_token"
    data = await http.data(path, {"secret": SECRET, "userID": ADMIN_ID}, user=None)
    assert data["expireTimeSeconds"] == 7_776_000
    claims = await http.data("/auth/parse_token", {"token": data["token"]}, user=None)
    assert (claims["userID"], claims["platformID"]) == (ADMIN_ID, 10)
    assert await http.error(path, {"secret": "x", "userID": ADMIN_ID}, user=None) == (1002, "NoPermissionError")
    assert await http.error(path, {"secret": SECRET, "userID": "u1"}, user=None) == (1001, "ArgsError")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"userID": "u1"}, 0),
        ({"userID": "u1", "platformID": 5}, 0),
        ({"userID": "u1", "platformID": 10}, 1002),
        ({"userID": "u1", "platformID": 77}, 1001),
        ({"userID": ADMIN_ID, "platformID": 1}, 1002),
        ({"userID": "bot", "platformID": 1}, 1001),
        ({"userID": "nobody", "platformID": 1}, 1004),
        ({"platformID": 1}, 1001),
    ],
)
async def test_user_token(http: HttpStage, body: dict[str, Any], code: int) -> None:
    answer = (await http.post("/auth/get_user_token", body, user=ADMIN_ID)).json()
    assert answer["errCode"] == code
    if not code:
        claims = await http.data("/auth/parse_token", {"token": answer["data"]["token"]}, user=None)
        assert claims["userID"] == "u1"
        assert claims["platformID"] == body.get("platformID", 0)


async def test_force_logout(http: HttpStage) -> None:
    web = await http.issue("u1", 5)
    await http.post("/auth/force_logout", {"userID": "u1", "platformID": 5}, user=ADMIN_ID)
    assert (await http.error("/auth/parse_token", {"token": web}, user=None))[0] == 1506
    assert await user_info(http)  # The other platform's token is as good as before.
    refused = {"userID": "u1", "platformID": 12}
    assert (await http.error("/auth/force_logout", refused, user=ADMIN_ID))[0] == 1001


@pytest.mark.parametrize(
    "users",
    [
        [],
        [{"userID": "a:b", "nickname": "n"}],
        [{"userID": "", "nickname": "n"}],
        [{"userID": "a", "nickname": ""}],
        [{"userID": "a", "nickname": "n"}, {"userID": "a", "nickname": "n"}],
    ],
)
async def test_register_refuses(http: HttpStage, users: list[dict[str, str]]) -> None:
    assert (await http.error("/user/user_register", {"users": users}, user=ADMIN_ID))[0] == 1001
    assert (await http.data("/user/get_all_users_uid", {"pagination": PAGE}))["total"] == 4


async def test_register(http: HttpStage) -> None:
    body = {"users": [{"userID": "用户_9", "nickname": "n", "appMangerLevel": 3}]}
    answer = await http.post("/user/user_register", body, user=ADMIN_ID)
    assert answer.content == b'{"errCode":0,"errMsg":"","errDlt":""}'
    info = await user_info(http, "用户_9")
    assert (info["nickname"], info["appMangerLevel"], info["createTime"]) == ("n", 3, NOW)
    assert await http.error("/user/user_register", body, user=ADMIN_ID) == (1102, "RegisteredAlreadyError")


async def test_profile_change_by_wrappers(http: HttpStage) -> None:
    await http.post("/user/update_user_info", {"userInfo": {"userID": "u1", "ex": "e"}})
    body = {"userInfo": {"userID": "u1", "nickname": "", "ex": None, "globalRecvMsgOpt": 2}}
    await http.data("/user/update_user_info_ex", body)
    info = await user_info(http)
    assert (info["nickname"], info["ex"], info["globalRecvMsgOpt"]) == ("", "e", 2)
    body["userInfo"]["globalRecvMsgOpt"] = 3
    assert (await http.error("/user/update_user_info_ex", body))[0] == 1001


async def test_old_profile_change_keeps_what_is_empty(http: HttpStage) -> None:
    body = {"userInfo": {"userID": "u1", "nickname": "", "ex": "e", "appMangerLevel": 4}}
    await http.data("/user/update_user_info", body)
    info = await user_info(http)
    assert (info["nickname"], info["ex"], info["appMangerLevel"]) == ("n-u1", "e", 0)
    await http.data("/user/update_user_info", body, user=ADMIN_ID)
    assert (await user_info(http))["appMangerLevel"] == 4


async def test_receive_option(http: HttpStage) -> None:
    await http.data("/user/set_global_msg_recv_opt", {"userID": "u1", "globalRecvMsgOpt": 2})
    assert (await user_info(http))["globalRecvMsgOpt"] == 2


async def test_users_by_search(http: HttpStage) -> None:
    data = await http.data("/user/get_users", {"pagination": PAGE})
    assert (data["total"], sorted(user["userID"] for user in data["users"])) == (2, ["u1", "u2"])
    data = await http.data("/user/get_users", {"pagination": PAGE, "nickName": "N-U2", "userID": "nobody"})
    assert [user["userID"] for user in data["users"]] == ["u2"]


async def test_account_check(http: HttpStage) -> None:
    data = await http.data("/user/account_check", {"checkUserIDs": ["u1", "x"]}, user=ADMIN_ID)
    assert data == {"results": [{"userID": "u1", "accountStatus": 1}, {"userID": "x", "accountStatus": 0}]}
    assert (await http.error("/user/account_check", {"checkUserIDs": ["x", "x"]}, user=ADMIN_ID))[0] == 1001


async def test_client_config_is_empty(http: HttpStage) -> None:
    assert await http.data("/user/get_user_client_config", {"userID": "u1"}) == {}
    assert await http.data("/user/get_user_client_config", {}) == {}
    assert (await http.error("/user/get_user_client_config", {"userID": "u2"}))[0] == 1002


async def test_presence(http: HttpStage) -> None:
    http.sessions.table["u1"] = [FakeSession("c1", 1, True, "t1"), FakeSession("c2", 1, False, "t2")]
    asked = {"userIDs": ["u1", "u2"]}
    online, offline = await http.data("/user/get_users_online_status", asked, user=ADMIN_ID)
    assert online["status"] == 1
    assert online["detailPlatformStatus"][0] == {
        "platformID": 1, "connID": "c1", "isBackground": True, "token": "t1",
    }  # fmt: skip
    assert offline == {"userID": "u2", "status": 0, "detailPlatformStatus": None}
    (detail,) = await http.data("/user/get_users_online_token_detail", asked, user=ADMIN_ID)
    assert detail["singlePlatformToken"] == [{"platformID": 1, "total": 2, "token": ["t1", "t2"]}]
    assert await http.data("/user/get_users_online_token_detail", {"userIDs": ["u2"]}, user=ADMIN_ID) is None
    data = await http.data("/user/get_users_status", asked)
    assert data["statusList"] == [
        {"userID": "u1", "status": 1, "platformIDs": [1]},
        {"userID": "u2", "status": 0, "platformIDs": None},
    ]
    asked_by = {"userID": "u1", "userIDs": ["u2"], "genre": 1}
    assert await http.data("/user/subscribe_users_status", asked_by) == {"statusList": None}


async def chat(http: HttpStage) -> None:
    """u2 has written three messages to u1, who has read one; and u1 owns the group `g`, where nobody spoke."""
    for number in range(3):
        await http.engine.send(http.engine.message("u2", "u1", content=b'{"content":"%d"}' % number))
    read = {"userID": "u1", "conversationID": "si_u1_u2", "hasReadSeq": 1}
    await http.data("/msg/set_conversation_has_read_seq", read)
    await group(http)


async def group(http: HttpStage, *members: str, owner: str = "u1", group_id: str = "g") -> None:
    body = {
        "groupInfo": {"groupID": group_id, "groupType": 2, "groupName": "G"},
        "ownerUserID": owner,
        "memberUserIDs": members,
    }
    await http.data("/group/create_group", body, user=owner)


async def test_conversations(http: HttpStage) -> None:
    await chat(http)
    mine = {"ownerUserID": "u1", "userID": "u1", "pagination": PAGE}
    ids = {"conversationIDs": ["si_u1_u2", "si_gone"]}
    data = await http.data("/conversation/get_all_conversations", mine)
    assert {one["conversationID"] for one in data["conversations"]} == {"si_u1_u2", "sg_g"}
    assert data["conversations"][0]["attachedInfo"] == ""
    assert len((await http.data("/conversation/get_conversations", mine | ids))["conversations"]) == 1
    one = await http.data("/conversation/get_conversation", mine | {"conversationID": "sg_g"})
    assert one["conversation"]["groupID"] == "g"
    assert (await http.error("/conversation/get_conversation", mine | {"conversationID": "x"}))[0] == 1004
    assert (await http.data("/conversation/get_owner_conversation", mine))["total"] == 2
    for path in ("get_not_notify_conversation_ids", "get_pinned_conversation_ids"):
        assert (await http.data(f"/conversation/{path}", mine)) == {"conversationIDs": None}


async def test_sorted_conversations(http: HttpStage) -> None:
    path, body = "/conversation/get_sorted_conversation_list", {"userID": "u1", "pagination": PAGE}
    assert (await http.error(path, body))[0] == 1004
    await chat(http)
    data = await http.data(path, body)
    assert data["conversationTotal"] == 2
    by_id = {one["conversationID"]: one for one in data["conversationElems"]}
    assert by_id["si_u1_u2"]["unreadCount"] == 2
    info = by_id["si_u1_u2"]["msgInfo"]
    assert (info["senderName"], info["content"]) == ("n-u2", '{"content":"2"}')
    assert info["LatestMsgRecvTime"] >= NOW
    assert by_id["sg_g"]["msgInfo"]["groupName"] == "G"


async def test_jssdk(http: HttpStage) -> None:
    await chat(http)
    data = await http.data("/jssdk/get_active_conversations", {"count": 10})
    (one,) = [each for each in data["conversations"] if each["group"] is None]
    assert (one["maxSeq"], one["readSeq"], one["lastMsg"]["seq"]) == (3, 1, 3)
    assert one["lastMsg"]["content"] == "eyJjb250ZW50IjoiMiJ9"
    assert data["unreadCount"] >= 2
    asked = await http.data("/jssdk/get_conversations", {"conversationIDs": ["si_u1_u2"]})
    assert (asked["conversations"], asked["unreadCount"]) == ([one], 2)
    answer = await http.post(
        "/jssdk/get_active_conversations", b"", **{"Content-Type": "application/x-protobuf"}
    )
    assert isinstance(answer.json()["data"], str)


async def test_seqs_and_pulls(http: HttpStage) -> None:
    await chat(http)
    data = await http.data("/msg/newest_seq", {"userID": "u1"})
    assert data["maxSeqs"]["si_u1_u2"] == 3
    assert "minSeqs" not in data
    asked = {"userID": "u1", "seqRanges": [{"conversationID": "si_u1_u2", "begin": 1, "end": 3, "num": 5}]}
    data = await http.data("/msg/pull_msg_by_seq", asked)
    pulled = data["msgs"]["si_u1_u2"]["Msgs"]
    assert (pulled[0]["seq"], pulled[0]["content"]) == (1, "eyJjb250ZW50IjoiMCJ9")
    data = await http.data("/msg/get_conversations_has_read_and_max_seq", {"userID": "u1"})
    state = data["seqs"]["si_u1_u2"]
    assert (state["maxSeq"], state["hasReadSeq"]) == (3, 1)
    assert await http.data("/msg/get_server_time") == {"serverTime": NOW}


@pytest.mark.parametrize("path", ["mark_conversation_as_read", "mark_msgs_as_read", "set_conversation_has_read_seq"])
async def test_reading(http: HttpStage, path: str) -> None:
    await chat(http)
    body = {"userID": "u1", "conversationID": "si_u1_u2", "hasReadSeq": 3, "seqs": [2, 3]}
    await http.data(f"/msg/{path}", body)
    data = await http.data("/msg/get_conversations_has_read_and_max_seq", {"userID": "u1"})
    assert data["seqs"]["si_u1_u2"]["hasReadSeq"] == 3
    stored = {one.seq: one.is_read for one in await messages_of(http.store, "si_u1_u2")}
    assert stored == ({1: False, 2: False, 3: False} if path.startswith("set") else {1: False, 2: True, 3: True})
    assert (await http.error(f"/msg/{path}", body | {"conversationID": "n_u1_u2"}))[0] == 1004


async def test_reading_refused(http: HttpStage) -> None:
    body = {"userID": "u1", "conversationID": "si_u1_u2", "hasReadSeq": 3, "seqs": [2]}
    assert (await http.error("/msg/mark_conversation_as_read", body | {"hasReadSeq": 0}))[0] == 1001
    assert (await http.error("/msg/mark_msgs_as_read", body | {"seqs": [0]}))[0] == 1001
    assert (await http.error("/msg/mark_msgs_as_read", body | {"seqs": []}))[0] == 1001


async def test_create_group(http: HttpStage) -> None:
    body: dict[str, Any] = {"groupInfo": {"groupType": 2, "groupName": "G"}, "ownerUserID": "u1"}
    created = (await http.data("/group/create_group", body))["groupInfo"]
    assert created["groupID"].isdecimal()
    (stored,) = (await http.data("/group/get_groups_info", {"groupIDs": [created["groupID"]]}))["groupInfos"]
    assert (stored["groupName"], stored["ownerUserID"], stored["memberCount"]) == ("G", "u1", 1)
    body["groupInfo"]["groupID"] = created["groupID"]
    assert (await http.error("/group/create_group", body))[0] == 1202
    body["memberUserIDs"] = ["u1"]
    assert (await http.error("/group/create_group", body))[0] == 1001
    body |= {"memberUserIDs": [str(one) for one in range(1001)]}
    assert (await http.error("/group/create_group", body))[0] == 1001
    assert (await http.error("/group/create_group", body | {"groupInfo": {"groupType": 1}}))[0] == 1001


async def test_create_group_with_random_ids(http: HttpStage) -> None:
    body = {"groupInfo": {"groupType": 2, "groupName": "G"}, "ownerUserID": "u1"}
    http.refuse(messages.CreateGroup, GroupExists(), GroupExists())
    data = await http.data("/group/create_group", body)
    tried = [str(address) for address, _ in http.asks.asked]
    assert len(set(tried)) == 3
    assert data["groupInfo"]["groupID"] == tried[-1].removeprefix("group:")
    http.refuse(messages.CreateGroup, *(GroupExists() for _ in range(10)))
    assert (await http.error("/group/create_group", body))[0] == 1202


async def members(http: HttpStage) -> dict[str, dict[str, Any]]:
    data = await http.data("/group/get_group_member_list", {"groupID": "g", "pagination": PAGE}, user=ADMIN_ID)
    return {member["userID"]: member for member in data["members"] or ()}


async def test_group_membership(http: HttpStage) -> None:
    await group(http, "u2")
    assert set(await members(http)) == {"u1", "u2"}
    await http.data("/group/invite_user_to_group", {"groupID": "g", "invitedUserIDs": ["bot"]})
    assert set(await members(http)) == {"u1", "u2", "bot"}
    await http.data("/group/kick_group", {"groupID": "g", "kickedUserIDs": ["bot"]})
    await http.data("/group/quit_group", {"groupID": "g"}, user="u2")
    assert set(await members(http)) == {"u1"}
    assert (await http.error("/group/quit_group", {"groupID": "g", "userID": "u1"}, user="u2"))[0] == 1002
    await http.data("/group/dismiss_group", {"groupID": "g", "deleteMember": True})
    assert await members(http) == {}


async def test_group_mutes(http: HttpStage) -> None:
    await group(http, "u2")
    body = {"groupID": "g", "userID": "u2", "mutedSeconds": 60}
    await http.data("/group/mute_group_member", body)
    assert (await members(http))["u2"]["muteEndTime"] == NOW + 60_000
    await http.data("/group/cancel_mute_group_member", body)
    assert (await members(http))["u2"]["muteEndTime"] <= NOW
    for path, status in (("mute_group", 3), ("cancel_mute_group", 0)):
        await http.data(f"/group/{path}", body)
        assert (await http.data("/group/get_groups_info", {"groupIDs": ["g"]}))["groupInfos"][0]["status"] == status
        assert (await http.error(f"/group/{path}", body, user="u2"))[0] == 1002


@pytest.mark.parametrize("path", ["invite_user_to_group", "kick_group", "dismiss_group"])
@pytest.mark.parametrize("wanted", [None, True, False])
async def test_group_tips_that_are_chosen(http: HttpStage, path: str, wanted: bool | None) -> None:
    body: dict[str, Any] = {"groupID": "g", "invitedUserIDs": ["u2"], "kickedUserIDs": ["u2"]}
    await http.post(f"/group/{path}", body if wanted is None else body | {"sendMessage": wanted})
    assert http.asks.last.send_message is wanted


async def test_group_reads(http: HttpStage) -> None:
    await group(http, "bot")
    body = {
        "groupID": "g", "groupIDs": ["g"], "userIDs": ["bot"], "fromUserID": "u1", "userID": "u1", "pagination": PAGE,
    }  # fmt: skip
    assert (await http.data("/group/get_groups_info", body))["groupInfos"][0]["memberCount"] == 2
    assert (await http.data("/group/get_group_members_info", body))["members"][0]["userID"] == "bot"
    assert (await http.data("/group/get_group_member_list", body))["total"] == 2
    assert (await http.data("/group/get_group_member_list", body | {"keyword": "bot"}))["total"] == 1
    assert (await http.data("/group/get_joined_group_list", body))["groups"][0]["groupID"] == "g"
    ids = (await http.data("/group/get_group_member_user_id", body))["userIDs"]
    assert sorted(ids) == ["bot", "u1"]
    (abstract,) = (await http.data("/group/get_group_abstract_info", body))["groupAbstractInfos"]
    assert abstract["groupMemberNumber"] == 2
    data = await http.data("/group/get_incremental_group_members", body)
    assert (data["full"], data["group"]["groupID"]) == (True, "g")
    same = body | {"versionID": data["versionID"], "version": data["version"]}
    assert (await http.data("/group/get_incremental_group_members", same))["full"] is False
    batch = await http.data("/group/get_incremental_group_members_batch", {"userID": "u1", "reqList": [same]})
    assert batch["respList"]["g"]["full"] is False
    assert (await http.data("/group/get_full_group_member_user_ids", body))["userIDs"] == ids
    assert (await http.data("/group/get_full_join_group_ids", body))["groupIDs"] == ["g"]
    assert (await http.data("/group/get_incremental_join_groups", body))["full"] is True
    for path in (
        "get_group_members_info", "get_group_member_list", "get_group_member_user_id",
        "get_group_abstract_info",
        "get_incremental_group_members", "get_full_group_member_user_ids",
    ):  # fmt: skip
        assert (await http.error(f"/group/{path}", body, user="u2"))[0] == 1002
        unknown = body | {"groupIDs": ["unknown"]}
        assert (await http.error("/group/get_group_abstract_info", unknown))[0] == 1002
        assert (await http.error("/group/get_group_abstract_info", unknown, user=ADMIN_ID))[0] == 1201
    assert await http.data("/group/get_group_users_req_application_list", body) == {
        "total": 0,
        "groupRequests": None,
    }
    assert (await http.error("/group/get_group_users_req_application_list", body, user="bot"))[0] == 1002


async def test_friends_of_users_without_friends(http: HttpStage) -> None:
    mine = {"userID": "u1", "ownerUserID": "u1", "userIDList": ["u2", "x"], "pagination": PAGE}
    assert await http.data("/friend/get_friend_list", mine) == {"friendsInfo": None, "total": 0}
    data = await http.data("/friend/get_incremental_friends", mine)
    assert len(data.pop("versionID")) == 24
    assert data == {
        "version": 1, "full": True, "delete": None, "insert": None, "update": None, "sortVersion": 0,
    }  # fmt: skip
    assert (await http.data("/friend/get_full_friend_user_ids", mine))["equal"] is True
    (info,) = (await http.data("/friend/get_specified_friends_info", mine))["infos"]
    assert (info["userInfo"]["userID"], info["friendInfo"], info["blackInfo"]) == ("u2", None, None)
    await http.store.commit([Slice("user/u1", http.store.epoch, [PutRows([FriendRow("u1", "u2")])])])
    data = await http.data("/friend/is_friend", {"userID1": "u2", "userID2": "u1"})
    assert data == {"inUser1Friends": False, "inUser2Friends": True}


async def test_part_limit(http: HttpStage) -> None:
    data = await http.data("/object/part_limit")
    assert data == {"minPartSize": 5_242_880, "maxPartSize": 5_368_709_120, "maxNumSize": 10_000}


def _send(content_type: int, content: Any, **more: Any) -> dict[str, Any]:
    return {
        "sendID": "u1",
        "recvID": "u2",
        "contentType": content_type,
        "sessionType": 1,
        "content": content,
    } | more


_PICTURE = {"type": "png", "width": 1, "height": 1, "url": "u"}
_CONTENTS: dict[int, dict[str, Any]] = {
    101: {"content": "hi"},
    102: {"sourcePicture": _PICTURE, "bigPicture": _PICTURE, "snapshotPicture": _PICTURE},
    103: {"sourceUrl": "u", "duration": 1},
    104: {
        "videoUrl": "u", "videoType": "mp4", "videoSize": 1, "duration": 1, "snapshotUrl": "u",
        "snapshotWidth": 1,
        "snapshotHeight": 1,
    },
    105: {"sourceUrl": "u", "fileName": "f", "fileSize": 1},
    106: {"text": "t", "atUserList": ["u2"]},
    110: {"data": "d"},
    114: {"text": "t"},
    118: {"content": "c"},
}  # fmt: skip


async def stored_messages(http: HttpStage, chat: str) -> list[sdkws_pb2.MsgData]:
    return [sdkws_pb2.MsgData.FromString(one.body) for one in await messages_of(http.store, chat)]


@pytest.mark.parametrize("content_type", _CONTENTS)
async def test_send_each_type(http: HttpStage, content_type: int) -> None:
    content = _CONTENTS[content_type]
    answer = await http.data("/msg/send_msg", _send(content_type, content), user=ADMIN_ID)
    (message,) = await stored_messages(http, "si_u1_u2")
    assert json.loads(message.content) == content
    assert (message.sendID, message.contentType, message.msgFrom, message.createTime) == ("u1", content_type, 200, NOW)
    assert answer == {
        "serverMsgID": message.serverMsgID, "clientMsgID": message.clientMsgID, "sendTime": message.sendTime,
    }  # fmt: skip
    for name in content:
        if name != "text":
            lacking = {key: value for key, value in content.items() if key != name}
            assert (await http.error("/msg/send_msg", _send(content_type, lacking), user=ADMIN_ID))[0] == 500
    assert len(await stored_messages(http, "si_u1_u2")) == 1


async def test_send_to_a_group(http: HttpStage) -> None:
    await group(http, "u2")
    before = len(await stored_messages(http, "sg_g"))
    body = _send(101, {"content": "x"}, sessionType=3, groupID="g", OFFLINEPUSHINFO={"TITLE": "t"}, notOfflinePush=True)
    await http.data("/msg/send_msg", body, user=ADMIN_ID)
    *_, message = await stored_messages(http, "sg_g")
    assert len(await stored_messages(http, "sg_g")) == before + 1
    assert (message.groupID, message.offlinePushInfo.title) == ("g", "t")
    assert dict(message.options) == {"offlinePush": False}


async def test_send_online_only(http: HttpStage) -> None:
    await http.data("/msg/send_msg", _send(101, {"content": "x"}, isOnlineOnly=True), user=ADMIN_ID)
    assert await stored_messages(http, "si_u1_u2") == []
    (received,) = http.engine.sessions.received["u2"]
    assert not any(received.message.options[name] for name in ("history", "persistent", "senderSync"))


async def test_send_notification(http: HttpStage) -> None:
    content = {"notificationName": "n", "notificationType": 1, "text": "t", "mixType": 0}
    oa = ContentType.OA_NOTIFICATION
    await http.data("/msg/send_msg", _send(oa, content, sendID="bot"), user=ADMIN_ID)
    message = http.asks.last.message
    (received,) = http.engine.sessions.received["u2"]
    assert received.message.sessionType == message.sessionType == 4
    assert json.loads(json.loads(received.message.content)["detail"]) == content
    assert (await http.error("/msg/send_msg", _send(oa, content), user=ADMIN_ID))[0] == 1002
    assert (await http.error("/msg/send_msg", _send(oa, content, sendID="x"), user=ADMIN_ID))[0] == 1101
    assert (await http.error("/msg/send_msg", _send(oa, content | {"mixType": 6}), user=ADMIN_ID))[0] == 500


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (_send(111, {"content": "x"}), 200),
        (_send(101, "text"), 400),
        (_send(101, {"content": "x"}, sessionType="1"), 400),
        ({"sendID": "u1"}, 400),
        (_send(101, {"content": "x"}, sendID=""), 400),
        ([], 400),
    ],
)
async def test_send_refused(http: HttpStage, body: Any, status: int) -> None:
    answer = await http.post("/msg/send_msg", body, user=ADMIN_ID)
    assert (answer.status_code, answer.json()["errCode"]) == (status, 1001)
    assert http.asks.asked == []
