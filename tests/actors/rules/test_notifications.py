"""Notifications: each row, and the message that is built of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.rules import notifications as notices
from greenroom.actors.rules.message import is_notification_type
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import ContentType, MessageFrom, SessionType

if TYPE_CHECKING:
    from greenroom.tests.kit.engine_kit import KitEngine

ROWS = list(notices.NOTIFICATIONS.values())
rows = pytest.mark.parametrize("kind", ROWS, ids=[str(one.content_type) for one in ROWS])


def test_every_row_is_found_by_its_number() -> None:
    declared = {one for one in vars(notices).values() if isinstance(one, notices.Notification)}
    assert declared == set(ROWS)
    assert all(number == one.content_type for number, one in notices.NOTIFICATIONS.items())
    assert all(is_notification_type(number) for number in notices.NOTIFICATIONS)
    names = {name for name in notices.__all__ if name.isupper()} - {"NOTIFICATIONS"}
    assert {id(getattr(notices, name)) for name in names} == {id(one) for one in ROWS}


@rows
def test_built_notification(engine: KitEngine, kind: notices.Notification) -> None:
    built = notices.build(
        engine.world, kind, kind.tips(), send_id="a", recv_id="g", session_type=SessionType.GROUP
    )
    assert (built.contentType, built.sendID, built.groupID) == (kind.content_type, "a", "g")
    assert built.msgFrom == MessageFrom.SYSTEM
    assert built.createTime == engine.clock.now
    assert len(built.clientMsgID) == 32
    assert (built.serverMsgID, built.sendTime, built.seq) == ("", 0, 0)
    options = built.options
    assert options["isSendMsg"] == options["unreadCount"] == kind.in_chat
    assert options["history"] == options["persistent"] == kind.stored
    assert options["isNotNotification"] is False
    assert options["senderSync"] is True
    json.loads(json.loads(built.content)["detail"])


@pytest.mark.parametrize("asked", [True, False])
def test_request_says_whether_a_copy_goes_into_the_chat(engine: KitEngine, asked: bool) -> None:
    for kind in ROWS:
        built = notices.build(
            engine.world, kind, kind.tips(), send_id="a", recv_id="b", send_message=asked
        )
        assert built.options["isSendMsg"] is asked
        assert built.groupID == ""


def test_notifications_share_no_options(engine: KitEngine) -> None:
    """Those that are alike are made of one pattern."""

    def build() -> sdkws_pb2.MsgData:
        tips = sdkws_pb2.MarkAsReadTips(conversationID="si_a_b", seqs=[1])
        return notices.build(engine.world, notices.HAS_READ, tips, send_id="a", recv_id="b")

    first = build()
    first.options["history"] = False
    second = build()
    assert second.options["history"] is True
    assert first.clientMsgID != second.clientMsgID
    assert json.loads(json.loads(second.content)["detail"])["seqs"] == [1]


def test_push_by_an_admin_has_the_key_that_its_message_says(engine: KitEngine) -> None:
    tips = sdkws_pb2.UserInfoUpdatedTips(userID="a")
    push = notices.push_to(
        "a", engine.world, notices.USER_INFO_UPDATED, tips, send_id="imAdmin", operation_id="op"
    )
    pushed = sdkws_pb2.MsgData.FromString(push.message)
    assert (push.conversation_id, push.operation_id) == ("n_a_imAdmin", "op")
    assert (pushed.sendID, pushed.recvID, pushed.contentType) == ("imAdmin", "a", ContentType.USER_INFO_UPDATED)
    assert pushed.seq == 0
    assert pushed.sendTime == pushed.createTime == engine.clock.now
    assert len(pushed.serverMsgID) == 32
    assert not pushed.options["history"]
