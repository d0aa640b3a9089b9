"""The table of limits, over every request that either transport accepts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.descriptor import FieldDescriptor

from greenroom.actors.errors import ArgsError
from greenroom.actors.rules import limits
from greenroom.actors.rules.notifications import MEMBERS_KICKED, build
from greenroom.actors.wire import group_pb2, sdkws_pb2, user_pb2
from greenroom.actors.wire.go_json import parse
from greenroom.actors.wire.openim_json import JsonMismatch, from_json, tips_content, tips_element
from greenroom.transport.gateway.requests import REQUESTS
from greenroom.transport.http.routes import ROUTES
from greenroom.transport.http.table import is_wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from greenroom.tests.kit.engine_kit import KitEngine

_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
_KINDS = {
    kind.DESCRIPTOR.full_name: kind
    for kind in (
        *(route.request for route in ROUTES if route.request is not None and is_wire(route.request)),
        *(request.payload for request in REQUESTS.values() if request.payload is not None),
    )
}


def _places(descriptor: Any, *above: Any) -> Iterator[tuple[Any, ...]]:
    """Each path of fields that ends in a text, a wrapped text or a list."""
    for field in descriptor.fields:
        path = (*above, field)
        if field.is_repeated or field.type in _TEXTS:
            yield path
        if field.message_type is not None and not field.message_type.GetOptions().map_entry:
            yield from _places(field.message_type, *path)


def _holder(message: Any, path: tuple[Any, ...]) -> Any:
    for field in path[:-1]:
        message = getattr(message, field.name).add() if field.is_repeated else getattr(message, field.name)
    return message


def _put_text(message: Any, path: tuple[Any, ...], size: int) -> None:
    holder, field = _holder(message, path), path[-1]
    text: Any = "x" * size if field.type == FieldDescriptor.TYPE_STRING else b"x" * size
    if field.is_repeated:
        getattr(holder, field.name).append(text)
    else:
        setattr(holder, field.name, text)


def _put_list(message: Any, path: tuple[Any, ...], size: int) -> None:
    field = path[-1]
    items = getattr(_holder(message, path), field.name)
    if field.message_type is None:
        items.extend(["x" if field.type in _TEXTS else 1] * size)
    elif field.message_type.GetOptions().map_entry:
        for number in range(size):
            items[f"k{number}"] = True
    else:
        for _ in range(size):
            items.add()


CASES = [
    pytest.param(kind, path, id=f"{name}-{'.'.join(field.name for field in path)}")
    for name, kind in sorted(_KINDS.items())
    for path in _places(kind.DESCRIPTOR)
]


@pytest.mark.parametrize(("kind", "path"), CASES)
def test_each_field_at_its_limit_and_past_it(kind: type[Message], path: tuple[Any, ...]) -> None:
    field = path[-1]
    name = path[-2].name if field.name == "value" and len(path) > 1 else field.name
    if field.type in _TEXTS:
        limit = limits.text_limit(name)
        fits, exceeds, beyond = kind(), kind(), kind()
        _put_text(fits, path, limit)
        _put_text(exceeds, path, limit + 1)
        _put_text(beyond, path, 100 * limit)
        limits.check_message(fits)
        for message in (exceeds, beyond):
            with pytest.raises(ArgsError, match=f"^{name} is longer than {limit} bytes$"):
                limits.check_message(message)
    if field.is_repeated:
        limit = limits.list_limit(field.name)
        fits, exceeds = kind(), kind()
        _put_list(fits, path, limit)
        _put_list(exceeds, path, limit + 1)
        limits.check_message(fits)
        with pytest.raises(ArgsError, match=f"^{name} has more than {limit} elements$"):
            limits.check_message(exceeds)


def test_bytes_count_and_not_characters() -> None:
    limits.check_text("nickname", "ü" * 512)
    with pytest.raises(ArgsError, match="nickname"):
        limits.check_text("nickname", "ü" * 513)
    limits.check_text("nickname", "\U0001f600" * 256)
    with pytest.raises(ArgsError, match="nickname"):
        limits.check_text("nickname", "\U0001f600" * 257)


def test_id_of_a_conversation_of_the_longest_ids_fits() -> None:
    limits.check_text("conversationID", f"si_{'a' * 64}_{'b' * 64}")
    limits.check_text("conversationID", f"sg_{'g' * 128}")


def test_small_message_is_not_looked_at() -> None:
    message = sdkws_pb2.MsgData(recvID="x" * 200)
    limits.check_frame(message, message.ByteSize())
    message.content = b"x" * limits.SMALL_MESSAGE_BYTES
    with pytest.raises(ArgsError, match="recvID"):
        limits.check_frame(message, message.ByteSize())


def test_message_whose_fields_fit_may_still_be_too_long() -> None:
    message = sdkws_pb2.MsgData(content=b"x" * limits.CONTENT_LIMIT_BYTES)
    with pytest.raises(ArgsError, match="content"):
        limits.check_frame(message, message.ByteSize())


@pytest.mark.parametrize(
    "text",
    [
        b'{"userIDs":["a"],"x":[' + b"{}," * 300_000 + b"{}]}",
        b"{" + b",".join(b'"%d":1' % number for number in range(300_000)) + b"}",
        b'{"x":"\\ud800' + b"\\n" * 300_000 + b'"}',
    ],
    ids=["objects", "keys", "escapes"],
)
def test_json_of_too_many_elements(text: bytes) -> None:
    with pytest.raises(JsonMismatch, match=r"at most \d+ e"):
        from_json(text, user_pb2.getDesignateUsersReq)


def test_long_list_of_objects_is_refused_before_they_become_messages() -> None:
    value = parse(b'{"REQLIST":[' + b"{}," * 1000 + b"{}]}")
    with pytest.raises(ArgsError, match="REQLIST has more than 1000 elements"):
        limits.check_json(value)
    limits.check_json(parse(b'{"groupInfo":{"SEQS":[' + b"1," * 1000 + b"1]}}"))


async def test_tip_with_too_many_members_is_cut(engine: KitEngine) -> None:
    members = [
        sdkws_pb2.GroupMemberFullInfo(groupID="g", userID=f"u{number}", nickname='"' * 1000) for number in range(1000)
    ]
    tips = sdkws_pb2.MemberKickedTips(
        groupMemberVersion=5, groupMemberVersionID="a" * 24, opUser=members[0], group=sdkws_pb2.GroupInfo(groupID="g")
    )
    elements = [tips_element(member) for member in members]
    notice = build(
        engine.world, MEMBERS_KICKED, tips, send_id="a", recv_id="g", session_type=3, elements=elements
    )
    assert limits.CONTENT_LIMIT_BYTES / 4 < len(notice.content) <= limits.CONTENT_LIMIT_BYTES
    assert notice.ByteSize() <= limits.MESSAGE_LIMIT_BYTES
    told = json.loads(json.loads(notice.content)["detail"])
    shown = [member["userID"] for member in told["kickedUserList"]]
    assert shown == [member.userID for member in members[: len(shown)]]
    assert (told["groupMemberVersion"], told["groupMemberVersionID"]) == (5, "")


def test_longest_texts_of_a_group_fit_into_a_tip() -> None:
    """A tip holds the group, its operator, its owner and the changed member. Each byte may become seven."""
    texts: dict[str, Any] = {name: "\x01" * limits.text_limit(name) for name in ("nickname", "faceURL", "ex")}
    member = sdkws_pb2.GroupMemberFullInfo(groupID="\x01" * 128, userID="\x01" * 64, **texts)
    group = sdkws_pb2.GroupInfo(groupID="\x01" * 128)
    for name in ("groupName", "faceURL", "ex", "introduction", "notification"):
        setattr(group, name, "\x01" * limits.text_limit(name))
    tips = sdkws_pb2.GroupCreatedTips(group=group, opUser=member, memberList=[member], groupOwnerUser=member)
    assert len(tips_content(tips)) <= limits.CONTENT_LIMIT_BYTES
    assert group_pb2.CreateGroupReq(groupInfo=group).ByteSize() < limits.CONTENT_LIMIT_BYTES
