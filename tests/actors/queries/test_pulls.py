"""What a pull answers (PROTOCOL 5.2 to 5.4), over a store in memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.errors import ArgsError, NoPermission
from greenroom.actors.messages import Caller
from greenroom.actors.queries import pulls
from greenroom.actors.queries.pulls import Queries
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import AddMessage, ChangeRecord, SetReadFlags
from greenroom.tests.persistence.store_writes import commit, group, group_key, message, pair, record, users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

ME = Caller("a", 2, "op")
ASCENDING, DESCENDING = sdkws_pb2.PullOrder.PullOrderAsc, sdkws_pb2.PullOrder.PullOrderDesc


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    """User a with a chat of ten messages, one of two, their notifications, and a group that he has left."""
    opened = SqliteStore(":memory:")
    await opened.open()
    await commit(opened, "user/a", users("a", "b", "c"))
    await commit(
        opened, "conversation/a_b", pair(), record("si_a_b", ("a", "b"), ("b", "a")),
        *(_text("si_a_b", seq) for seq in range(1, 11)), *(_text("n_a_b", seq) for seq in range(1, 4)),
        SetReadFlags("si_a_b", "b", 1, 4, [9]),
    )  # fmt: skip
    await commit(
        opened, "conversation/a_c", pair("a", "c"), record("si_a_c", ("a", "c"), ("c", "a")),
        _text("si_a_c", 1), _text("si_a_c", 2),
    )  # fmt: skip
    await commit(
        opened, "group/g", group_key(), group(), record("sg_g", ("a", ""), ("b", "")),
        *(_text("sg_g", seq) for seq in range(1, 6)), *(_text("n_g", seq) for seq in range(1, 5)),
        ChangeRecord("a", "sg_g", {"min_seq": 2, "max_seq": 4, "notification_max_seq": 3}),
    )  # fmt: skip
    yield opened
    await opened.close()


def _text(conversation_id: str, seq: int, size: int = 0) -> AddMessage:
    body = sdkws_pb2.MsgData(clientMsgID=f"{conversation_id}/{seq}", seq=77, content=b"x" * size)
    plain = message(conversation_id, seq)
    return AddMessage(
        plain.conversation_id, seq, plain.send_id, plain.client_msg_id, plain.server_msg_id, plain.send_time,
        plain.content_type, body.SerializeToString(),
    )  # fmt: skip


async def _pull(
    store: SqliteStore, *ranges: tuple[str, int, int, int], order: sdkws_pb2.PullOrder = ASCENDING
) -> sdkws_pb2.PullMessageBySeqsResp:
    asked = [sdkws_pb2.SeqRange(conversationID=i, begin=b, end=e, num=n) for i, b, e, n in ranges]
    request = sdkws_pb2.PullMessageBySeqsReq(userID="a", seqRanges=asked, order=order)
    return sdkws_pb2.PullMessageBySeqsResp.FromString(await Queries(store).pull_by_range(ME, request))


def _seqs(pulled: Mapping[str, sdkws_pb2.PullMsgs]) -> dict[str, list[int]]:
    for conversation_id, one in pulled.items():
        assert [each.clientMsgID for each in one.Msgs] == [f"{conversation_id}/{each.seq}" for each in one.Msgs]
    return {conversation_id: [each.seq for each in one.Msgs] for conversation_id, one in pulled.items()}


async def test_the_newest_of_each_range(store: SqliteStore) -> None:
    got = await _pull(store, ("si_a_b", 0, 10, 1), ("si_a_c", 1, 99, 10), ("sg_g", 0, 99, 2), ("si_b_c", 0, 9, 9))
    assert _seqs(got.msgs) == {"si_a_b": [10], "si_a_c": [1, 2], "sg_g": [3, 4]}
    assert not got.notificationMsgs
    assert not any(one.endSeq for one in got.msgs.values())


async def test_no_messages_no_entry(store: SqliteStore) -> None:
    got = await _pull(
        store, ("si_a_b", 0, 10, 0), ("si_a_b", 0, 10, -1), ("si_a_b", 5, 4, 1), ("si_a_b", 11, 20, 1),
        ("sg_g", 0, 1, 1), ("sg_g", 5, 5, 1), ("si_x_y", 0, 9, 1), ("si_b_c", 0, 9, 1), ("n_b_c", 0, 9, 1),
        ("n_a_a", 0, 9, 1), ("n_", 0, 9, 1), ("", 0, 9, 1), ("si_a_b", -(2**63), 0, 1),
        ("si_a_b", 2**63 - 1, 2**63 - 1, 1),
    )  # fmt: skip
    assert got.ByteSize() == 0


async def test_bounds_of_64_bits(store: SqliteStore) -> None:
    got = await _pull(store, ("si_a_b", -(2**63), 2**63 - 1, 2**63 - 1))
    assert _seqs(got.msgs) == {"si_a_b": list(range(1, 11))}


async def test_notifications_are_whole_and_cut_as_the_chat_is(store: SqliteStore) -> None:
    got = await _pull(store, ("n_a_b", 2, 99, 1), ("n_g", -5, 99, 0), ("si_a_b", 3, 4, 9))
    assert _seqs(got.notificationMsgs) == {"n_a_b": [2, 3], "n_g": [1, 2, 3]}
    assert _seqs(got.msgs) == {"si_a_b": [3, 4]}


async def test_read_flags(store: SqliteStore) -> None:
    got = await _pull(store, ("si_a_b", 1, 10, 10))
    assert [one.seq for one in got.msgs["si_a_b"].Msgs if one.isRead] == [1, 2, 3, 4, 9]


@pytest.mark.parametrize(
    ("order", "ends"),
    [
        (ASCENDING, {(1, 10): True, (5, 99): True, (5, 9): False, (-3, 4): False}),
        (DESCENDING, {(1, 10): True, (2, 10): False, (0, 3): True, (5, 99): False}),
    ],
)
async def test_end_of_a_range(
    store: SqliteStore, order: sdkws_pb2.PullOrder, ends: dict[tuple[int, int], bool]
) -> None:
    for (begin, end), is_end in ends.items():
        got = await _pull(store, ("si_a_b", begin, end, 1), order=order)
        assert got.msgs["si_a_b"].isEnd is is_end, (begin, end)


async def test_end_of_a_range_that_is_cut(store: SqliteStore) -> None:
    assert (await _pull(store, ("sg_g", 1, 4, 9))).msgs["sg_g"].isEnd
    assert not (await _pull(store, ("sg_g", 1, 3, 9))).msgs["sg_g"].isEnd
    assert (await _pull(store, ("sg_g", 2, 4, 9), order=DESCENDING)).msgs["sg_g"].isEnd
    assert not (await _pull(store, ("sg_g", 3, 4, 9), order=DESCENDING)).msgs["sg_g"].isEnd


async def test_a_conversation_asked_for_twice_has_the_last_answer(store: SqliteStore) -> None:
    got = await _pull(store, ("si_a_b", 1, 3, 9), ("si_a_c", 1, 1, 9), ("si_a_b", 7, 8, 9))
    assert _seqs(got.msgs) == {"si_a_b": [7, 8], "si_a_c": [1]}


async def test_hundreds_of_ranges_in_one_pull(store: SqliteStore) -> None:
    chats = [f"si_a_u{number}" for number in range(300)]
    writes = [each for chat in chats for each in (record(chat, ("a", chat[5:])), _text(chat, 1), _text(chat, 2))]
    assert await commit(store, "user/a", *writes) is None
    got = await _pull(store, *((chat, 0, 2, 1) for chat in chats), ("n_g", 1, 1, 1))
    assert _seqs(got.msgs) == {chat: [2] for chat in chats}
    assert _seqs(got.notificationMsgs) == {"n_g": [1]}


async def test_what_does_not_fit_into_a_frame_is_left_out(store: SqliteStore) -> None:
    big = [f"si_a_{name}" for name in "defg"]
    for chat in big:
        writes = [_text(chat, seq, size=100_000) for seq in range(1, 6)]
        assert await commit(store, f"conversation/{chat[3:]}", record(chat, ("a", chat[-1])), *writes) is None
    got = await _pull(store, *((chat, 1, 5, 9) for chat in big), ("si_a_b", 1, 10, 1))
    assert _seqs(got.msgs) == {big[0]: [1, 2, 3, 4, 5], big[1]: [4, 5]}
    assert [got.msgs[chat].endSeq for chat in big[:2]] == [0, 4]
    assert 600_000 < got.ByteSize() < 1024 * 1024
    got = await _pull(store, (big[0], 1, 5, 9), (big[1], 1, 2, 2), (big[2], 1, 5, 9), (big[3], 1, 5, 9))
    assert _seqs({chat: got.msgs[chat] for chat in big[:2]}) == {big[0]: [1, 2, 3, 4, 5], big[1]: [1, 2]}
    assert (list(got.msgs[big[2]].Msgs), got.msgs[big[2]].endSeq) == ([], 6)
    assert big[3] not in got.msgs


async def test_more_ranges_than_allowed(store: SqliteStore) -> None:
    with pytest.raises(ArgsError):
        await _pull(store, *[("si_a_b", 0, 1, 1)] * 1001)


async def test_pulls_of_others(store: SqliteStore) -> None:
    queries, outsider = Queries(store), Caller("b", 2, "op")
    with pytest.raises(NoPermission):
        await queries.pull_by_range(outsider, sdkws_pb2.PullMessageBySeqsReq(userID="a"))
    with pytest.raises(NoPermission):
        await queries.newest_seqs(outsider, sdkws_pb2.GetMaxSeqReq(userID="a"))


async def test_newest_seqs(store: SqliteStore) -> None:
    answer = await Queries(store).newest_seqs(ME, sdkws_pb2.GetMaxSeqReq(userID="a"))
    expected = {"si_a_b": 10, "n_a_b": 3, "si_a_c": 2, "sg_g": 5, "n_g": 4}
    assert dict(sdkws_pb2.GetMaxSeqResp.FromString(answer).maxSeqs) == expected


async def test_seqs_in_the_order_asked_for(store: SqliteStore) -> None:
    asked = [
        msg_pb2.ConversationSeqs(conversationID="si_a_b", seqs=[4, 2, 99, 9]),
        msg_pb2.ConversationSeqs(conversationID="n_a_b", seqs=[3, 1]),
        msg_pb2.ConversationSeqs(conversationID="sg_g", seqs=[1, 5]),
        msg_pb2.ConversationSeqs(conversationID="si_b_c", seqs=[1]),
    ]
    request = msg_pb2.GetSeqMessageReq(userID="a", conversations=asked)
    got = msg_pb2.GetSeqMessageResp.FromString(await Queries(store).pull_by_seqs(ME, request))
    assert _seqs(got.msgs) == {"si_a_b": [4, 2, 9], "sg_g": [], "si_b_c": []}
    assert _seqs(got.notificationMsgs) == {"n_a_b": [3, 1]}
    assert [(one, got.msgs[one].isEnd, got.msgs[one].endSeq) for one in sorted(got.msgs)] == [
        ("sg_g", True, 4), ("si_a_b", True, 10), ("si_b_c", True, 0),
    ]  # fmt: skip


async def test_last_messages_that_do_not_fit_into_a_frame_are_left_out(store: SqliteStore) -> None:
    big = [f"si_a_{name}" for name in "defg"]
    for chat in big:
        await commit(store, "user/a", record(chat, ("a", chat[5:])), _text(chat, 1, 300_000))
    request = msg_pb2.GetLastMessageReq(userID="a", conversationIDs=big)
    answer = msg_pb2.GetLastMessageResp.FromString(await Queries(store).last_messages(ME, request))
    assert sorted(answer.msgs) == big[:2]


@pytest.mark.parametrize(
    ("order", "came", "end_seq"), [(ASCENDING, [1, 2, 3, 4, 5, 6, 7], 7), (DESCENDING, [3, 4, 5, 6, 7, 8, 9], 3)]
)
async def test_seqs_that_do_not_fit_into_a_frame(
    store: SqliteStore, order: sdkws_pb2.PullOrder, came: list[int], end_seq: int
) -> None:
    """The client sees that there is more; what it asked for then comes."""
    writes = [_text("si_a_d", seq, size=100_000) for seq in range(1, 10)]
    assert await commit(store, "conversation/a_d", record("si_a_d", ("a", "d")), *writes) is None

    async def pulled(*seqs: int) -> msg_pb2.GetSeqMessageResp:
        asked = [
            msg_pb2.ConversationSeqs(conversationID="si_a_d", seqs=seqs),
            msg_pb2.ConversationSeqs(conversationID="si_a_b", seqs=[1]),
        ]
        request = msg_pb2.GetSeqMessageReq(userID="a", conversations=asked, order=order)
        return msg_pb2.GetSeqMessageResp.FromString(await Queries(store).pull_by_seqs(ME, request))

    got = await pulled(*range(11))
    assert _seqs(got.msgs) == {"si_a_d": came}
    assert (got.msgs["si_a_d"].isEnd, got.msgs["si_a_d"].endSeq) == (False, end_seq)
    rest = sorted({*range(1, 10)} - {*came})
    assert _seqs((await pulled(*rest)).msgs) == {"si_a_d": rest, "si_a_b": [1]}


LISTS: dict[str, Any] = {
    "seqRanges": lambda count: sdkws_pb2.PullMessageBySeqsReq(userID="a", seqRanges=[sdkws_pb2.SeqRange()] * count),
    "conversations": lambda count: msg_pb2.GetSeqMessageReq(
        userID="a", conversations=[msg_pb2.ConversationSeqs()] * count
    ),
    "conversations.seqs": lambda count: msg_pb2.GetSeqMessageReq(
        userID="a", conversations=[msg_pb2.ConversationSeqs(conversationID="si_a_b", seqs=[1] * count)]
    ),
    "conversationIDs": lambda count: msg_pb2.GetConversationsHasReadAndMaxSeqReq(
        userID="a", conversationIDs=["x"] * count
    ),
    "conversationIDs ": lambda count: msg_pb2.GetLastMessageReq(userID="a", conversationIDs=["x"] * count),
}


@pytest.mark.parametrize("field", LISTS)
async def test_lists_have_a_bound_and_its_refusal_names_the_field(store: SqliteStore, field: str) -> None:
    queries = Queries(store)
    ask: dict[type, Any] = {
        sdkws_pb2.PullMessageBySeqsReq: queries.pull_by_range,
        msg_pb2.GetSeqMessageReq: queries.pull_by_seqs,
        msg_pb2.GetConversationsHasReadAndMaxSeqReq: queries.seq_states,
        msg_pb2.GetLastMessageReq: queries.last_messages,
    }
    request = LISTS[field](1000)
    await ask[type(request)](ME, request)
    with pytest.raises(ArgsError) as refused:
        await ask[type(request)](ME, LISTS[field](1001))
    assert refused.value.detail == f"{field.strip()}: more than 1000"


async def test_seqs_of_all_conversations_have_a_bound(store: SqliteStore) -> None:
    asked = [msg_pb2.ConversationSeqs(conversationID=f"si_a_{number}", seqs=range(1000)) for number in range(11)]
    with pytest.raises(ArgsError, match=r"conversations\.seqs: more than 10000 together"):
        await Queries(store).pull_by_seqs(ME, msg_pb2.GetSeqMessageReq(userID="a", conversations=asked))


async def test_repeated_seqs_are_answered_once(store: SqliteStore) -> None:
    asked = [msg_pb2.ConversationSeqs(conversationID="si_a_b", seqs=[3, 3, 2, 3])]
    answer = await Queries(store).pull_by_seqs(ME, msg_pb2.GetSeqMessageReq(userID="a", conversations=asked))
    assert [one.seq for one in msg_pb2.GetSeqMessageResp.FromString(answer).msgs["si_a_b"].Msgs] == [3, 2]


async def test_long_answers_are_whole_and_made_in_several_turns(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are the same as those that are made at once."""
    chats = [f"si_a_u{number}" for number in range(300)]
    writes = [each for chat in chats for each in (record(chat, ("a", chat[5:])), _text(chat, 1), _text(chat, 2))]
    pin = ChangeRecord("a", chats[7], {"is_pinned": True})
    assert await commit(store, "user/a", *writes, pin) is None
    whole = await _all_answers(store, chats)
    loop = asyncio.get_running_loop()
    turns = 0

    def count() -> None:
        nonlocal turns
        turns += 1
        timer[0] = loop.call_soon(count)

    for name in ("_SLICE_CONVERSATIONS", "_SLICE_MESSAGES", "_PAGE_RECORDS"):
        monkeypatch.setattr(pulls, name, 10)
    timer = [loop.call_soon(count)]
    assert await _all_answers(store, chats) == whole
    timer[0].cancel()
    assert turns >= 5 * 300 / 10 - 5
    assert whole[1].pinnedConversationIDs == [chats[7]]
    assert len(whole[0].maxSeqs) == 300 + 5


async def _all_answers(store: SqliteStore, chats: list[str]) -> tuple[Any, ...]:
    queries = Queries(store)
    ranges = [sdkws_pb2.SeqRange(conversationID=chat, begin=0, end=2, num=2) for chat in chats]
    seqs = [msg_pb2.ConversationSeqs(conversationID=chat, seqs=[2, 1]) for chat in chats]
    return (
        sdkws_pb2.GetMaxSeqResp.FromString(await queries.newest_seqs(ME, sdkws_pb2.GetMaxSeqReq(userID="a"))),
        msg_pb2.GetConversationsHasReadAndMaxSeqResp.FromString(
            await queries.seq_states(
                ME, msg_pb2.GetConversationsHasReadAndMaxSeqReq(userID="a", returnPinned=True)
            )
        ),
        await queries.pull_by_range(ME, sdkws_pb2.PullMessageBySeqsReq(userID="a", seqRanges=ranges)),
        await queries.pull_by_seqs(ME, msg_pb2.GetSeqMessageReq(userID="a", conversations=seqs)),
        msg_pb2.GetLastMessageResp.FromString(
            await queries.last_messages(ME, msg_pb2.GetLastMessageReq(userID="a", conversationIDs=chats))
        ),
    )
