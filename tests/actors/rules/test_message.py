"""What a message must be, what is forced on it, and into which conversations it goes."""

from __future__ import annotations

from typing import Any

import pytest

from greenroom.actors.errors import ArgsError, NoPermission
from greenroom.actors.messages import Caller
from greenroom.actors.rules.limits import CONTENT_LIMIT_BYTES
from greenroom.actors.rules.message import Part, check, force_options, is_notification_type, render, split
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import ContentType, MessageStatus, SessionType

USER = Caller("a", 5, "op")
ADMIN = Caller("imAdmin", 10, "op", is_admin=True)


def message(**fields: Any) -> sdkws_pb2.MsgData:
    known = {"sendID": "a", "recvID": "b", "sessionType": SessionType.SINGLE, "contentType": 101, "content": b"{}"}
    return sdkws_pb2.MsgData(**{**known, **fields})


def shape(parts: list[Part]) -> list[tuple[str, bool, bool]]:
    return [(part.conversation_id, part.stored, part.is_chat) for part in parts]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"sessionType": SessionType.GROUP, "recvID": "", "groupID": "g"},
        {"sessionType": SessionType.NOTIFICATION, "contentType": ContentType.OA_NOTIFICATION},
        {"content": b"x" * CONTENT_LIMIT_BYTES},
    ],
    ids=["single", "group", "official", "longest"],
)
def test_message_that_passes(fields: dict[str, Any]) -> None:
    check(message(**fields), USER)


@pytest.mark.parametrize(
    "fields",
    [
        {"sendID": ""},
        {"content": b""},
        {"content": b"x" * (CONTENT_LIMIT_BYTES + 1)},
        {"contentType": ContentType.OA_NOTIFICATION},
        {"sessionType": SessionType.NOTIFICATION},
        {"sessionType": 0},
        {"sessionType": 2, "groupID": "g"},
        {"recvID": ""},
        {"sessionType": SessionType.GROUP},
    ],
)
def test_message_that_is_not_what_it_must_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ArgsError):
        check(message(**fields), USER)


def test_sender_must_be_the_caller_or_be_spoken_for_by_an_admin() -> None:
    with pytest.raises(NoPermission):
        check(message(sendID="b"), USER)
    check(message(sendID="b"), ADMIN)


def test_forced_options() -> None:
    typing = message(contentType=ContentType.TYPING, options={"history": True, "custom": True})
    force_options(typing)
    assert typing.options.pop("custom") is True
    assert set(typing.options.values()) == {False}
    assert {"history", "persistent", "senderSync", "offlinePush", "unreadCount"} <= set(typing.options)
    revoke, text = message(contentType=ContentType.REVOKE), message(options={"history": False})
    for one in (revoke, text):
        force_options(one)
    assert dict(revoke.options) == {"unreadCount": False, "offlinePush": False}
    assert dict(text.options) == {"history": False}


@pytest.mark.parametrize(
    ("content_type", "expected"), [(999, False), (1000, True), (1400, True), (5000, True), (5001, False), (101, False)]
)
def test_numbers_of_notifications(content_type: int, expected: bool) -> None:
    assert is_notification_type(content_type) is expected


def test_message_goes_into_its_chat() -> None:
    assert shape(split(message(), "a_b", "n_a_b")) == [("si_a_b", True, True)]
    assert shape(split(message(options={"history": True}), "a_b", "n_a_b")) == [("si_a_b", True, True)]
    assert shape(split(message(options={"history": False}), "a_b", "n_a_b")) == [("si_a_b", False, True)]


@pytest.mark.parametrize("stored", [True, False])
def test_notification_goes_into_the_twin_and_a_copy_into_the_chat(stored: bool) -> None:
    options = {"isNotNotification": False, "isSendMsg": True, "history": stored, "unreadCount": True}
    notice = message(sessionType=SessionType.GROUP, groupID="g", contentType=1509, options=options)
    parts = split(notice, "g", "n_g")
    assert shape(parts) == [("sg_g", True, True), ("n_g", stored, False)]
    copy, original = (sdkws_pb2.MsgData.FromString(part.body) for part in parts)
    assert dict(copy.options) == {"offlinePush": True, "unreadCount": True}
    # Only one of the two counts as unread and is pushed to those who are offline.
    assert (original.options["offlinePush"], original.options["unreadCount"]) == (False, False)


def test_notification_without_a_copy() -> None:
    notice = message(contentType=2200, options={"isNotNotification": False, "isSendMsg": False})
    assert shape(split(notice, "a_b", "n_a_b")) == [("n_a_b", True, False)]


def test_rendered_message_has_no_seq_and_is_sent() -> None:
    rendered = sdkws_pb2.MsgData.FromString(render(message(seq=7, isRead=True, status=MessageStatus.SENDING)))
    assert (rendered.seq, rendered.isRead, rendered.status) == (0, False, MessageStatus.SENT)
    assert rendered.content == b"{}"
