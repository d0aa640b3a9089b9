"""What is spliced parses as what the protobuf classes would have written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenroom.transport.wire.msg_pb2 import GetSeqMessageResp
from greenroom.transport.wire.sdkws_pb2 import (
    MsgData,
    PullMessageBySeqsResp,
    PullMsgs,
    PushMessages,
    SeqRange,
)
from greenroom.transport.wire.splice import pull_msgs, pull_reply, push_messages, varint, with_read, with_seq

texts = st.text(st.characters(codec="utf-8"), max_size=200)
int64s = st.integers(-(2**63), 2**63 - 1)
messages = st.builds(
    MsgData,
    sendID=texts,
    clientMsgID=texts,
    content=st.binary(max_size=200) | st.just(b"x" * 20_000),
    seq=int64s,
    isRead=st.booleans(),
    options=st.dictionaries(texts, st.booleans(), max_size=3),
    atUserIDList=st.lists(texts, max_size=3),
)
pulls = st.dictionaries(
    texts,
    st.builds(PullMsgs, Msgs=st.lists(messages, max_size=3), isEnd=st.booleans(), endSeq=int64s),
    max_size=3,
)


@given(int64s | st.integers(0, 70_000))
def test_varint_is_that_of_protobuf(value: int) -> None:
    expected = SeqRange(begin=value).SerializeToString()[1:] or b"\x00"
    assert varint(value) == expected


@given(messages, int64s)
def test_seq_replaces_the_one_before(message: MsgData, seq: int) -> None:
    spliced = MsgData.FromString(with_seq(message.SerializeToString(), seq))
    message.seq = seq
    assert spliced == message


@given(messages)
def test_read_mark_is_set(message: MsgData) -> None:
    spliced = MsgData.FromString(with_read(message.SerializeToString()))
    message.isRead = True
    assert spliced == message


@given(texts | texts.map("n_{}".format), messages)
def test_push_holds_one_message_under_its_conversation(conversation_id: str, message: MsgData) -> None:
    expected = PushMessages()
    pushed = expected.notificationMsgs if conversation_id.startswith("n_") else expected.msgs
    pushed[conversation_id].Msgs.append(message)
    spliced = push_messages(conversation_id, message.SerializeToString())
    assert PushMessages.FromString(spliced) == expected
    assert len(spliced) == expected.ByteSize()


@given(st.lists(messages, max_size=4), st.booleans(), int64s | st.just(0))
def test_pulled_messages_keep_their_order(found: list[MsgData], is_end: bool, end_seq: int) -> None:
    expected = PullMsgs(Msgs=found, isEnd=is_end, endSeq=end_seq)
    spliced = pull_msgs((message.SerializeToString() for message in found), is_end, end_seq)
    assert PullMsgs.FromString(spliced) == expected


@given(pulls, pulls)
def test_pull_reply_is_both_answers(msgs: dict[str, PullMsgs], notifications: dict[str, PullMsgs]) -> None:
    spliced = pull_reply(
        {key: pulled.SerializeToString() for key, pulled in msgs.items()},
        {key: pulled.SerializeToString() for key, pulled in notifications.items()},
    )
    for message_class in (PullMessageBySeqsResp, GetSeqMessageResp):
        parsed = message_class.FromString(spliced)
        assert dict(parsed.msgs) == msgs
        assert dict(parsed.notificationMsgs) == notifications


def test_empty_pull_reply_is_no_bytes() -> None:
    assert pull_reply({}, {}) == b""
