"""OpenIM's JSON, written and read as Go does it."""

from __future__ import annotations

import importlib
import json
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given
from hypothesis import strategies as st

import greenroom.actors.wire
from greenroom.actors.wire.conversation_pb2 import ConversationReq, GetUserConversationIDsHashResp
from greenroom.actors.wire.group_pb2 import (
    CreateGroupReq,
    GetGroupMemberListResp,
    SetGroupInfoExReq,
    SetGroupMemberInfoReq,
)
from greenroom.actors.wire.msg_pb2 import GetLastMessageResp, GetSeqMessageReq
from greenroom.actors.wire.openim_json import (
    JsonMismatch,
    from_dict,
    from_json,
    has_long_list,
    json_slices,
    tips_content,
    tips_element,
    to_dict,
    to_json,
)
from greenroom.actors.wire.sdkws_pb2 import (
    GetMaxSeqResp,
    GroupMemberFullInfo,
    GroupMemberMutedTips,
    MarkAsReadTips,
    MemberKickedTips,
    MsgData,
    OfflinePushInfo,
    PullMessageBySeqsReq,
    PullOrder,
    PushMessages,
    RequestPagination,
    RevokeMsgTips,
    SetAppBackgroundStatusResp,
    UserInfo,
)
from greenroom.actors.wire.user_pb2 import searchNotificationAccountReq, setUserClientConfigReq
from greenroom.transport.envelope.codec import codec

if TYPE_CHECKING:
    from google.protobuf.message import Message

texts = st.text(st.characters(codec="utf-8"), max_size=30)
int32s = st.integers(-(2**31), 2**31 - 1)
int64s = st.integers(-(2**63), 2**63 - 1)
messages = st.builds(
    MsgData,
    sendID=texts,
    senderPlatformID=int32s,
    content=st.binary(max_size=40),
    seq=int64s,
    isRead=st.booleans(),
    options=st.dictionaries(texts, st.booleans(), max_size=3),
    offlinePushInfo=st.none() | st.builds(OfflinePushInfo, title=texts, iOSBadgeCount=st.booleans()),
    atUserIDList=st.lists(texts, max_size=3),
    ex=texts,
)


def wrapped(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values.map(lambda value: {"value": value})


anything = st.one_of(
    messages,
    st.builds(
        CreateGroupReq, memberUserIDs=st.lists(texts, max_size=3), sendMessage=st.none() | st.booleans()
    ),
    st.builds(
        ConversationReq,
        recvMsgOpt=wrapped(int32s),
        isPinned=wrapped(st.booleans()),
        ex=wrapped(texts),
        minSeq=wrapped(int64s),
    ),
    st.builds(GetMaxSeqResp, maxSeqs=st.dictionaries(texts, int64s, max_size=3)),
    st.builds(GetLastMessageResp, msgs=st.dictionaries(texts, messages, max_size=2)),
    st.builds(GetUserConversationIDsHashResp, hash=st.integers(0, 2**64 - 1)),
    st.builds(PullMessageBySeqsReq, userID=texts, order=st.sampled_from([0, 1, 7])),
    st.just(SetAppBackgroundStatusResp()),
)


@given(anything)
def test_json_round_trip(message: Message) -> None:
    assert from_json(to_json(message), type(message)) == message


@given(anything, st.integers(1, 3))
def test_json_in_slices(message: Message, elements: int) -> None:
    assert b"".join(json_slices(message, elements)) == to_json(message)


def test_json_of_a_long_list_in_slices() -> None:
    members = [GroupMemberFullInfo(userID=f"u<{number}>") for number in range(7)]
    response = GetGroupMemberListResp(total=7, members=members)
    assert has_long_list(response, 6)
    assert not has_long_list(response, 7)
    for elements in range(1, 9):
        assert b"".join(json_slices(response, elements)) == to_json(response)
    assert len(list(json_slices(response, 3))) > len(list(json_slices(response, 7)))


@given(anything)
def test_dict_round_trip(message: Message) -> None:
    assert from_dict(to_dict(message), type(message)) == message


@given(anything)
def test_json_is_pure_and_safe_inside_html(message: Message) -> None:
    written = to_json(message)
    json.loads(written)
    for raw in ("<", ">", "&", "\u2028", "\u2029"):
        assert raw not in written.decode()


@given(anything, st.sampled_from([str.upper, str.swapcase, str.lower]))
def test_keys_in_any_case(message: Message, change: Any) -> None:
    changed = {change(key): value for key, value in to_dict(message).items()}
    assert from_dict(changed, type(message)) == message


def test_every_message_of_the_wire_has_a_plan() -> None:
    for module_info in pkgutil.iter_modules(greenroom.actors.wire.__path__):
        if not module_info.name.endswith("_pb2"):
            continue
        module = importlib.import_module(f"greenroom.actors.wire.{module_info.name}")
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            message_class = GetMessageClass(descriptor)
            message = message_class()
            written = to_dict(message)
            maps = {
                field.name
                for field in descriptor.fields
                if field.message_type is not None and field.message_type.GetOptions().map_entry
            }
            assert list(written) == [field.name for field in descriptor.fields if field.name not in maps]
            assert from_json(to_json(message), message_class) == message


def test_empty_message() -> None:
    assert to_json(SetAppBackgroundStatusResp()) == b"{}"
    assert to_json(MsgData()) == (
        b'{"sendID":"","recvID":"","groupID":"","clientMsgID":"","serverMsgID":"","senderPlatformID":0,'
        b'"senderNickname":"","senderFaceURL":"","sessionType":0,"msgFrom":0,"contentType":0,"content":null,'
        b'"seq":0,"sendTime":0,"createTime":0,"status":0,"isRead":false,"offlinePushInfo":null,'
        b'"atUserIDList":null,"attachedInfo":"","ex":""}'
    )
    assert to_json(GetMaxSeqResp()) == b"{}"


def test_wrappers_are_bare_values() -> None:
    request = SetGroupInfoExReq(groupID="g")
    request.ex.value = ""
    request.needVerification.value = 0
    written = json.loads(to_json(request))
    assert written["ex"] == ""
    assert written["needVerification"] == 0
    assert written["groupName"] is None
    read = from_json(b'{"ex":"","needVerification":0,"groupName":null}', SetGroupInfoExReq)
    assert read.HasField("ex")
    assert read.HasField("needVerification")
    assert not read.HasField("groupName")
    assert not read.HasField("notification")


def test_optional_fields_are_bare_values() -> None:
    assert b'"sendMessage":null' in to_json(CreateGroupReq())
    assert b'"sendMessage":false' in to_json(CreateGroupReq(sendMessage=False))
    assert from_json(b'{"sendMessage":false}', CreateGroupReq).HasField("sendMessage")
    assert not from_json(b'{"sendMessage":true,"sendMessage":null}', CreateGroupReq).HasField("sendMessage")
    assert from_json(b'{"appManagerLevel":0}', searchNotificationAccountReq).HasField("appManagerLevel")


def test_integers_are_exact() -> None:
    biggest = GetUserConversationIDsHashResp(hash=2**64 - 1)
    assert to_json(biggest) == b'{"hash":18446744073709551615}'
    assert from_json(to_json(biggest), GetUserConversationIDsHashResp) == biggest


def test_maps_are_sorted_by_key() -> None:
    written = to_json(GetMaxSeqResp(maxSeqs={"b": 1, "a": 2, "ä": 3}))
    assert written == '{"maxSeqs":{"a":2,"b":1,"ä":3}}'.encode()


def test_text_is_escaped_as_go_does() -> None:
    written = to_json(UserInfo(userID='<>&\u2028\u2029\b\f\x01\x7f"\\/é'))
    assert written.startswith(
        rb'{"userID":"\u003c\u003e\u0026\u2028\u2029\b\f\u0001' + b"\x7f" + r'\"\\/é"'.encode()
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"null", MsgData()),
        (b'{"sendID":"a","SENDID":"b","sendID":"c"}', MsgData(sendID="c")),
        (b'{"sendID":"a","sendID":null}', MsgData(sendID="a")),
        (b'{"content":"AA==","content":null}', MsgData()),
        (b'{"content":"A\\nA=="}', MsgData(content=b"\x00")),
        (b'{"atUserIDList":["a"],"atUserIDList":null}', MsgData()),
        (b'{"atUserIDList":[null,"a"]}', MsgData(atUserIDList=["", "a"])),
        (b'{"options":{"a":true},"Options":{"b":null}}', MsgData(options={"a": True, "b": False})),
        (
            b'{"offlinePushInfo":{"title":"a"},"OFFLINEPUSHINFO":{"desc":"b"}}',
            MsgData(offlinePushInfo={"title": "a", "desc": "b"}),
        ),
        (b'{"offlinePushInfo":{}}', MsgData(offlinePushInfo={})),
        (b'{"seq":-0,"unknown":[{"x":1e400}]}', MsgData()),
        (b'{"ex":"\\ud800 \xff"}', MsgData(ex="\ufffd \ufffd")),
    ],
)
def test_reading_as_go_does(data: bytes, message: MsgData) -> None:
    assert from_json(data, MsgData) == message


def test_enum_is_a_number() -> None:
    assert b'"order":1' in to_json(PullMessageBySeqsReq(order=PullOrder.PullOrderDesc))
    assert from_json(b'{"order":1}', PullMessageBySeqsReq).order == 1
    with pytest.raises(JsonMismatch):
        from_json(b'{"order":"PullOrderDesc"}', PullMessageBySeqsReq)


@pytest.mark.parametrize(
    ("data", "message_class", "path", "expected"),
    [
        (b"", MsgData, "", "JSON"),
        (b"{", MsgData, "", "JSON"),
        (b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}", MsgData, "", "JSON"),
        (b"[]", MsgData, "", "object"),
        (b'"secret"', MsgData, "", "object"),
        (b'{"SENDID":1}', MsgData, "sendID", "string"),
        (b'{"seq":"5"}', MsgData, "seq", "int64"),
        (b'{"seq":5.0}', MsgData, "seq", "int64"),
        (b'{"seq":true}', MsgData, "seq", "int64"),
        (b'{"seq":9223372036854775808}', MsgData, "seq", "int64"),
        (b'{"status":2147483648}', MsgData, "status", "int32"),
        (b'{"status":-2147483649}', MsgData, "status", "int32"),
        (b'{"mutedSeconds":-1}', GroupMemberMutedTips, "mutedSeconds", "uint32"),
        (b'{"mutedSeconds":4294967296}', GroupMemberMutedTips, "mutedSeconds", "uint32"),
        (
            b'{"groupMemberVersion":18446744073709551616}',
            GroupMemberMutedTips,
            "groupMemberVersion",
            "uint64",
        ),
        (b'{"isRead":1}', MsgData, "isRead", "bool"),
        (b'{"content":"secret"}', MsgData, "content", "base64 string"),
        (b'{"content":{}}', MsgData, "content", "base64 string"),
        (b'{"atUserIDList":{}}', MsgData, "atUserIDList", "list"),
        (b'{"atUserIDList":"secret"}', MsgData, "atUserIDList", "list"),
        (b'{"atUserIDList":["a",{}]}', MsgData, "atUserIDList[1]", "string"),
        (b'{"options":[]}', MsgData, "options", "object"),
        (b'{"options":{"secret":"secret"}}', MsgData, "options[]", "bool"),
        (b'{"offlinePushInfo":{"title":[]}}', MsgData, "offlinePushInfo.title", "string"),
        (
            b'{"members":[{},{"nickname":{"value":"x"}}]}',
            SetGroupMemberInfoReq,
            "members[1].nickname",
            "string",
        ),
        (b'{"conversations":[{"seqs":[1,"2"]}]}', GetSeqMessageReq, "conversations[0].seqs[1]", "int64"),
        (b'{"msgs":{"secret":{"sendID":5}}}', GetLastMessageResp, "msgs[].sendID", "string"),
        (b'{"configs":{"a":1}}', setUserClientConfigReq, "configs[]", "string"),
    ],
)
def test_mismatch_names_the_field(
    data: bytes, message_class: type[Message], path: str, expected: str
) -> None:
    with pytest.raises(JsonMismatch) as caught:
        from_json(data, message_class)
    assert (caught.value.path, caught.value.expected) == (path, expected)
    assert "secret" not in str(caught.value)
    assert caught.value.code == 1001


@given(st.binary(max_size=200))
def test_any_bytes_raise_nothing_else(data: bytes) -> None:
    try:
        from_json(data, MsgData)
    except JsonMismatch:
        return


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*to_dict(MsgData()), "options"]), json_values))
def test_any_data_raises_nothing_else(data: dict[str, Any]) -> None:
    try:
        from_dict(data, MsgData)
    except JsonMismatch:
        return


def test_half_of_a_surrogate_pair_in_python_data() -> None:
    with pytest.raises(JsonMismatch):
        from_dict({"sendID": "\ud800"}, MsgData)


def test_tips_content_is_text_inside_json() -> None:
    assert tips_content(RequestPagination(pageNumber=1)) == (
        rb'{"detail":"{\"pageNumber\":1,\"showNumber\":0}"}'
    )
    assert b'\\"ex\\":\\"\\\\u003cb\\\\u003e\\"' in tips_content(UserInfo(ex="<b>"))


def test_tips_with_elements_that_are_already_written() -> None:
    members = [GroupMemberFullInfo(userID="a", nickname="<b>\0\""), GroupMemberFullInfo(userID="c\0")]
    whole = MemberKickedTips(kickedUserList=members, operationTime=1)
    assert tips_content(MemberKickedTips(operationTime=1), list(map(tips_element, members))) == tips_content(whole)
    assert tips_content(MemberKickedTips(operationTime=1)) == tips_content(MemberKickedTips(operationTime=1), [])


def test_recorded_tips_are_what_we_write() -> None:
    """The notifications that a real server pushed, byte for byte."""
    classes: dict[int, type[Message]] = {2200: MarkAsReadTips, 2101: RevokeMsgTips}
    frames = json.loads((Path(__file__).parents[2] / "vectors/openim-frames.json").read_text())["frames"]
    written = 0
    for frame in frames:
        if frame["encoding"] != "json+gzip" or frame["direction"] != "s->c":
            continue
        response = codec("js", True).decode_response(bytes.fromhex(frame["hex"]))
        if response.req_identifier != 2001:
            continue
        for pulled in PushMessages.FromString(response.data or b"").notificationMsgs.values():
            for message in pulled.Msgs:
                detail = json.loads(message.content)["detail"].encode()
                tips = from_json(detail, classes[message.contentType])
                assert tips_content(tips) == message.content
                written += 1
    assert written == 4
