"""What each service's handlers ask and answer, beyond the table's own checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors import messages
from greenroom.actors.errors import GroupExists, RecordNotFound, UserExists
from greenroom.actors.wire import sdkws_pb2
from greenroom.persistence.store import SeqState, Span, StoredMessage
from greenroom.persistence.tables import GroupRow, MemberRow, RecordRow
from greenroom.tests.kit.http_kit import ADMIN_ID, LOG_ID, SECRET, FakeSession

if TYPE_CHECKING:
    from greenroom.tests.kit.http_kit import HttpStage

PAGE = {"pageNumber": 1, "showNumber": 10}


async def test_admin_token(http: HttpStage) -> None:
    path = "/auth/get_admin_token"
    data = await http.data(path, {"secret": SECRET, "userID": ADMIN_ID}, user=None)
    assert data == {"token": "a-token", "expireTimeSeconds": 7_776_000}
    assert str(http.system.asked[-1][0]) == f"user:{ADMIN_ID}"
    assert await http.error(path, {"secret": "x", "userID": ADMIN_ID}, user=None) == (
        1002,
        "NoPermissionError",
    )
    assert await http.error(path, {"secret": SECRET, "userID": "u1"}, user=None) == (1001, "ArgsError")
    http.refuse(messages.IssueToken, RecordNotFound())
    assert (await http.error(path, {"secret": SECRET, "userID": ADMIN_ID}, user=None))[0] == 1004


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
    assert (await http.post("/auth/get_user_token", body, user=ADMIN_ID)).json()["errCode"] == code


async def test_force_logout(http: HttpStage) -> None:
    await http.post("/auth/force_logout", {"userID": "u1", "platformID": 11}, user=ADMIN_ID)
    assert http.system.last.platform_id == 11
    assert (await http.error("/auth/force_logout", {"userID": "u1", "platformID": 12}, user=ADMIN_ID))[
        0
    ] == 1001


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


async def test_register(http: HttpStage) -> None:
    body = {"users": [{"userID": "用户_9", "nickname": "n", "appMangerLevel": 3}]}
    answer = await http.post("/user/user_register", body, user=ADMIN_ID)
    assert answer.content == b'{"errCode":0,"errMsg":"","errDlt":""}'
    (row,) = http.system.last.users
    assert (row.user_id, row.app_manger_level, row.create_time) == ("用户_9", 3, 1_700_000_000_000)
    http.refuse(messages.RegisterUsers, UserExists())
    assert await http.error("/user/user_register", body, user=ADMIN_ID) == (1102, "RegisteredAlreadyError")


async def test_profile_change_by_wrappers(http: HttpStage) -> None:
    body = {"userInfo": {"userID": "u1", "nickname": "", "ex": None, "globalRecvMsgOpt": 2}}
    await http.post("/user/update_user_info_ex", body)
    assert http.system.last.changes == {"nickname": "", "global_recv_msg_opt": 2}
    body["userInfo"]["globalRecvMsgOpt"] = 3
    assert (await http.error("/user/update_user_info_ex", body))[0] == 1001


async def test_old_profile_change_keeps_what_is_empty(http: HttpStage) -> None:
    body = {"userInfo": {"userID": "u1", "nickname": "", "ex": "e", "appMangerLevel": 4}}
    await http.post("/user/update_user_info", body)
    assert http.system.last.changes == {"ex": "e"}
    await http.post("/user/update_user_info", body, user=ADMIN_ID)
    assert http.system.last.changes == {"ex": "e", "app_manger_level": 4}


async def test_users_by_search(http: HttpStage) -> None:
    data = await http.data("/user/get_users", {"pagination": PAGE})
    assert (data["total"], [user["userID"] for user in data["users"]]) == (2, ["u1", "u2"])
    data = await http.data("/user/get_users", {"pagination": PAGE, "nickName": "N-U2", "userID": "("})
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


def _chat(http: HttpStage) -> None:
    body = sdkws_pb2.MsgData(sendID="u2", recvID="u1", content=b"{}", contentType=101, sendTime=5)
    http.store.records_by_owner["u1"] = [
        RecordRow("u1", "si_u1_u2", 1, "u2"),
        RecordRow("u1", "sg_g", 3, group_id="g", is_pinned=True, recv_msg_opt=2),
    ]
    http.store.states = {"si_u1_u2": SeqState(3, 1, 5), "sg_g": SeqState(0, 0, 0)}
    http.store.spans_by_id = {"si_u1_u2": Span(1, 3, 3), "sg_g": Span(1, 0, 0)}
    http.store.last = {"si_u1_u2": StoredMessage(3, body.SerializeToString(), True)}


async def test_conversations(http: HttpStage) -> None:
    _chat(http)
    mine = {"ownerUserID": "u1", "userID": "u1", "pagination": PAGE}
    ids = {"conversationIDs": ["si_u1_u2", "si_gone"]}
    data = await http.data("/conversation/get_all_conversations", mine)
    assert [one["conversationID"] for one in data["conversations"]] == ["si_u1_u2", "sg_g"]
    assert data["conversations"][0]["attachedInfo"] == ""
    assert len((await http.data("/conversation/get_conversations", mine | ids))["conversations"]) == 1
    one = await http.data("/conversation/get_conversation", mine | {"conversationID": "sg_g"})
    assert one["conversation"]["isPinned"] is True
    assert (await http.error("/conversation/get_conversation", mine | {"conversationID": "x"}))[0] == 1004
    assert (await http.data("/conversation/get_owner_conversation", mine))["total"] == 2
    for path in ("get_not_notify_conversation_ids", "get_pinned_conversation_ids"):
        assert (await http.data(f"/conversation/{path}", mine)) == {"conversationIDs": ["sg_g"]}


async def test_sorted_conversations(http: HttpStage) -> None:
    path, body = "/conversation/get_sorted_conversation_list", {"userID": "u1", "pagination": PAGE}
    assert (await http.error(path, body))[0] == 1004
    _chat(http)
    data = await http.data(path, body)
    assert (data["conversationTotal"], data["unreadTotal"]) == (2, 2)
    pinned, chat = data["conversationElems"]
    assert pinned["IsPinned"] is True
    assert pinned["msgInfo"] is None
    assert (chat["msgInfo"]["senderName"], chat["msgInfo"]["LatestMsgRecvTime"]) == ("n-u2", 5)


async def test_jssdk(http: HttpStage) -> None:
    _chat(http)
    data = await http.data("/jssdk/get_active_conversations", {"count": 10})
    assert data["unreadCount"] == 2
    (one,) = data["conversations"]
    assert (one["maxSeq"], one["readSeq"], one["lastMsg"]["seq"], one["group"]) == (3, 1, 3, None)
    assert one["lastMsg"]["content"] == "e30="
    await http.data("/jssdk/get_conversations", {"conversationIDs": ["si_u1_u2"]})
    answer = await http.post(
        "/jssdk/get_active_conversations", b"", **{"Content-Type": "application/x-protobuf"}
    )
    assert isinstance(answer.json()["data"], str)


async def test_seqs_and_pulls(http: HttpStage) -> None:
    _chat(http)
    data = await http.data("/msg/newest_seq", {"userID": "u1"})
    assert data["maxSeqs"]["si_u1_u2"] == 3
    assert "minSeqs" not in data
    asked = {"userID": "u1", "seqRanges": [{"conversationID": "si_u1_u2", "begin": 1, "end": 3, "num": 5}]}
    data = await http.data("/msg/pull_msg_by_seq", asked)
    assert data["msgs"]["si_u1_u2"]["Msgs"][0]["content"] == "e30="
    data = await http.data("/msg/get_conversations_has_read_and_max_seq", {"userID": "u1"})
    assert data["seqs"]["si_u1_u2"] == {"maxSeq": 3, "hasReadSeq": 1, "maxSeqTime": 5}
    assert await http.data("/msg/get_server_time") == {"serverTime": 1_700_000_000_000}


async def test_reading(http: HttpStage) -> None:
    _chat(http)
    body = {"userID": "u1", "conversationID": "si_u1_u2", "hasReadSeq": 3, "seqs": [2]}
    for path in ("mark_conversation_as_read", "mark_msgs_as_read", "set_conversation_has_read_seq"):
        assert (await http.post(f"/msg/{path}", body)).json()["errCode"] == 0
        assert str(http.system.asked[-1][0]) == "conversation:u1_u2"
        unknown = body | {"conversationID": "n_u1_u2"}
        assert (await http.error(f"/msg/{path}", unknown))[0] == 1004
    assert (await http.error("/msg/mark_conversation_as_read", body | {"hasReadSeq": 0}))[0] == 1001
    assert (await http.error("/msg/mark_msgs_as_read", body | {"seqs": [0]}))[0] == 1001
    assert (await http.error("/msg/mark_msgs_as_read", body | {"seqs": []}))[0] == 1001


async def test_create_group_with_random_ids(http: HttpStage) -> None:
    body: dict[str, Any] = {"groupInfo": {"groupType": 2, "groupName": "G"}, "ownerUserID": "u1"}
    http.refuse(messages.CreateGroup, GroupExists(), GroupExists())
    data = await http.data("/group/create_group", body)
    asked = [str(address) for address, _ in http.system.asked]
    assert len(set(asked)) == 3
    assert data["groupInfo"]["groupID"] == asked[-1].removeprefix("group:")
    http.refuse(messages.CreateGroup, *(GroupExists() for _ in range(10)))
    assert (await http.error("/group/create_group", body))[0] == 1202
    body["groupInfo"]["groupID"] = "g7"
    http.refuse(messages.CreateGroup, GroupExists())
    assert (await http.error("/group/create_group", body))[0] == 1202
    body["memberUserIDs"] = ["u1"]
    assert (await http.error("/group/create_group", body))[0] == 1001
    body |= {"memberUserIDs": [str(one) for one in range(1001)]}
    assert (await http.error("/group/create_group", body))[0] == 1001
    assert (await http.error("/group/create_group", body | {"groupInfo": {"groupType": 1}}))[0] == 1001


async def test_group_commands(http: HttpStage) -> None:
    body = {
        "groupID": "g", "userID": "u1", "mutedSeconds": 60, "invitedUserIDs": ["u2"], "kickedUserIDs": ["u2"],
        "deleteMember": True, "sendMessage": False,
    }  # fmt: skip
    expected = {
        "invite_user_to_group": messages.InviteMembers,
        "kick_group": messages.KickMembers,
        "quit_group": messages.QuitGroup,
        "dismiss_group": messages.DismissGroup,
        "mute_group_member": messages.MuteMember,
        "cancel_mute_group_member": messages.CancelMuteMember,
        "mute_group": messages.MuteGroup,
        "cancel_mute_group": messages.CancelMuteGroup,
    }
    for path, kind in expected.items():
        assert (await http.post(f"/group/{path}", body)).json()["errCode"] == 0
        assert type(http.system.last) is kind
        assert getattr(http.system.last, "send_message", False) is False
    await http.post("/group/dismiss_group", {"groupID": "g"})
    assert http.system.last.send_message is None
    await http.post("/group/quit_group", {"groupID": "g"})
    assert http.system.last.user_id == "u1"


async def test_group_reads(http: HttpStage) -> None:
    http.store.groups_by_id["g"] = GroupRow("g", member_count=2)
    http.store.members_by_group["g"] = [
        MemberRow("g", one, role_level=role) for one, role in (("u1", 100), ("u3", 20))
    ]
    body = {
        "groupID": "g",
        "groupIDs": ["g"],
        "userIDs": ["u3"],
        "fromUserID": "u1",
        "userID": "u1",
        "pagination": PAGE,
    }
    assert (await http.data("/group/get_groups_info", body))["groupInfos"][0]["memberCount"] == 2
    assert (await http.data("/group/get_group_members_info", body))["members"][0]["userID"] == "u3"
    assert (await http.data("/group/get_group_member_list", body))["total"] == 2
    assert (await http.data("/group/get_group_member_list", body | {"keyword": "u3"}))["total"] == 1
    assert (await http.data("/group/get_joined_group_list", body))["groups"][0]["groupID"] == "g"
    assert await http.data("/group/get_group_member_user_id", body) == {"userIDs": ["u1", "u3"]}
    (abstract,) = (await http.data("/group/get_group_abstract_info", body))["groupAbstractInfos"]
    assert abstract["groupMemberNumber"] == 2
    data = await http.data("/group/get_incremental_group_members", body)
    assert (data["full"], data["versionID"], data["group"]["groupID"]) == (True, LOG_ID, "g")
    assert (await http.data("/group/get_full_group_member_user_ids", body))["userIDs"] == ["u1", "u3"]
    assert (await http.data("/group/get_full_join_group_ids", body))["groupIDs"] == ["g"]
    assert (await http.data("/group/get_incremental_join_groups", body))["full"] is True
    for path in (
        "get_group_members_info", "get_group_member_list", "get_group_member_user_id",
        "get_group_abstract_info",
        "get_incremental_group_members", "get_full_group_member_user_ids",
    ):  # fmt: skip
        assert (await http.error(f"/group/{path}", body, user="u2"))[0] == 1002
    asked = body | {"groupIDs": ["unknown"]}
    assert (await http.error("/group/get_group_abstract_info", asked))[0] == 1201
    assert await http.data("/group/get_group_users_req_application_list", body) == {
        "total": 0,
        "groupRequests": None,
    }
    assert (await http.error("/group/get_group_users_req_application_list", body, user="u3"))[0] == 1002


async def test_friends_of_users_without_friends(http: HttpStage) -> None:
    mine = {"userID": "u1", "ownerUserID": "u1", "userIDList": ["u2", "x"], "pagination": PAGE}
    assert await http.data("/friend/get_friend_list", mine) == {"friendsInfo": None, "total": 0}
    data = await http.data("/friend/get_incremental_friends", mine)
    assert data == {
        "version": 1, "versionID": LOG_ID, "full": True, "delete": None, "insert": None, "update": None,
        "sortVersion": 0,
    }  # fmt: skip
    assert (await http.data("/friend/get_full_friend_user_ids", mine))["equal"] is True
    (info,) = (await http.data("/friend/get_specified_friends_info", mine))["infos"]
    assert (info["userInfo"]["userID"], info["friendInfo"], info["blackInfo"]) == ("u2", None, None)
    http.store.friends.add(("u1", "u2"))
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


@pytest.mark.parametrize("content_type", _CONTENTS)
async def test_send_each_type(http: HttpStage, content_type: int) -> None:
    content = _CONTENTS[content_type]
    answer = await http.data("/msg/send_msg", _send(content_type, content), user=ADMIN_ID)
    message = http.system.last.message
    assert json.loads(message.content) == content
    assert (message.msgFrom, message.sendTime, message.createTime) == (200, 0, 1_700_000_000_000)
    assert dict(message.options) == {}
    assert answer == {"serverMsgID": "s", "clientMsgID": message.clientMsgID, "sendTime": 1_700_000_000_000}
    assert str(http.system.asked[-1][0]) == "conversation:u1_u2"
    for name in content:
        if name != "text":
            lacking = {key: value for key, value in content.items() if key != name}
            assert (await http.error("/msg/send_msg", _send(content_type, lacking), user=ADMIN_ID))[0] == 500


async def test_send_options(http: HttpStage) -> None:
    body = _send(
        101, {"content": "x"}, isOnlineOnly=True, notOfflinePush=True, OFFLINEPUSHINFO={"TITLE": "t"}
    )
    await http.data("/msg/send_msg", body | {"sessionType": 3, "groupID": "g"}, user=ADMIN_ID)
    address, command = http.system.asked[-1]
    assert str(address) == "group:g"
    assert command.message.offlinePushInfo.title == "t"
    assert dict(command.message.options) == dict.fromkeys(
        ("history", "persistent", "senderSync", "conversationUpdate", "offlinePush"), False
    )


async def test_send_notification(http: HttpStage) -> None:
    content = {"notificationName": "n", "notificationType": 1, "text": "t", "mixType": 0}
    await http.data("/msg/send_msg", _send(1400, content, sendID="bot"), user=ADMIN_ID)
    message = http.system.last.message
    assert message.sessionType == 4
    assert json.loads(json.loads(message.content)["detail"]) == content
    assert (await http.error("/msg/send_msg", _send(1400, content), user=ADMIN_ID))[0] == 1002
    assert (await http.error("/msg/send_msg", _send(1400, content, sendID="x"), user=ADMIN_ID))[0] == 1101
    assert (await http.error("/msg/send_msg", _send(1400, content | {"mixType": 6}), user=ADMIN_ID))[0] == 500


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
    assert http.system.asked == []
