"""Everything is accepted once and in order, however little a server's answers hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import NOTIFICATION_PREFIX
from greenroom.transport.client.timeline import Timelines

if TYPE_CHECKING:
    from greenroom.transport.client.pull import SeqSpan

Shelves = dict[str, dict[int, int]]
"""Conversation -> seq -> size of the message."""


def _answer(shelves: Shelves, spans: list[SeqSpan], room: int) -> sdkws_pb2.PullMessageBySeqsResp:
    """As the server does: the newest that fit, `endSeq` where it was cut, nothing after; one message at least."""
    answer = sdkws_pb2.PullMessageBySeqsResp()
    first = True
    for span in spans:
        conversation_id, shelf_of_all = span.conversation_id, shelves[span.conversation_id]
        seqs = [seq for seq in sorted(shelf_of_all) if span.begin <= seq <= span.end]
        taken: list[int] = []
        for seq in reversed(seqs):
            room -= shelf_of_all[seq]
            if first:
                room, first = max(room, 0), False
            if room < 0:
                break
            taken.insert(0, seq)
        shelf = answer.notificationMsgs if conversation_id.startswith(NOTIFICATION_PREFIX) else answer.msgs
        if seqs:
            shelf[conversation_id].Msgs.extend(sdkws_pb2.MsgData(seq=seq) for seq in taken)
        if len(taken) < len(seqs):
            shelf[conversation_id].endSeq = taken[0] if taken else span.end + 1
        if room < 0:
            break
    return answer


shelves = st.dictionaries(
    st.sampled_from(["si_a_b", "sg_g", "n_a_b", "si_a_c"]),
    st.dictionaries(st.integers(1, 40), st.integers(1, 30), min_size=1, max_size=40),
    min_size=1,
)


@given(shelves, st.integers(1, 100), st.integers(1, 50), st.integers(1, 4))
def test_answers_that_are_cut(shelves: Shelves, room: int, page: int, conversations: int) -> None:
    timelines = Timelines(from_beginning=True)
    timelines.learn({conversation_id: max(shelf) for conversation_id, shelf in shelves.items()})
    accepted: dict[str, list[int]] = {conversation_id: [] for conversation_id in shelves}
    asked = 0
    while timelines.behind:
        asked += 1
        assert asked < 400
        spans = list(timelines.missing(page=page, conversations=conversations))
        for conversation_id, raw in timelines.accept_pulled(spans, _answer(shelves, spans, room)):
            accepted[conversation_id].append(raw.seq)
    assert accepted == {conversation_id: sorted(shelf) for conversation_id, shelf in shelves.items()}
    assert timelines.holes == sum(max(shelf) - len(shelf) for shelf in shelves.values())
