"""What is spliced parses as what the protobuf classes would have written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenroom.actors.wire.msg_pb2 import GetSeqMessageResp
from greenroom.actors.wire.sdkws_pb2 import (
    MsgData,
    PullMessageBySeqsResp,
    PullMsgs,
    PushMessages,
    SeqRange,
)
from greenroom.actors.wire.splice import pull_entry, push_messages, varint, with_read, with_seq

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


@given(pulls, pulls)
def test_entries_are_the_answer_to_a_pull(msgs: dict[str, PullMsgs], notifications: dict[str, PullMsgs]) -> None:
    of_logs = {f"n_{key}": pulled for key, pulled in notifications.items()}
    of_chats = {key: pulled for key, pulled in msgs.items() if not key.startswith("n_")}
    spliced = b"".join(
        pull_entry(key, [one.SerializeToString() for one in pulled.Msgs], pulled.isEnd, pulled.endSeq)
        for key, pulled in (of_logs | of_chats).items()
    )
    for message_class in (PullMessageBySeqsResp, GetSeqMessageResp):
        parsed = message_class.FromString(spliced)
        assert dict(parsed.msgs) == of_chats
        assert dict(parsed.notificationMsgs) == of_logs
        assert len(spliced) == parsed.ByteSize()
