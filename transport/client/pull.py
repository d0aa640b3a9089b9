"""Pulls by range (PROTOCOL 5.3).

The size of an answer is bounded. From the first range that does not fit, the answer has only the newest messages that
do fit, and `endSeq` is the seq of the oldest of these (or a seq after the range if no message fits). Later ranges are
missing from the answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import NOTIFICATION_PREFIX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

__all__ = ["SeqSpan", "ascending", "is_cut", "part_of", "pull_all", "pull_request"]


class SeqSpan(msgspec.Struct, frozen=True, gc=False):
    """The seqs begin..end of a conversation, both included."""

    conversation_id: str
    begin: int
    end: int


def pull_request(user_id: str, spans: Iterable[SeqSpan], limit: int) -> bytes:
    """The request for the newest `limit` messages of each span."""
    ranges = [
        sdkws_pb2.SeqRange(conversationID=span.conversation_id, begin=span.begin, end=span.end, num=limit)
        for span in spans
    ]
    return sdkws_pb2.PullMessageBySeqsReq(userID=user_id, seqRanges=ranges).SerializeToString()


def part_of(answer: sdkws_pb2.PullMessageBySeqsResp, conversation_id: str) -> sdkws_pb2.PullMsgs | None:
    """The part of the answer for one conversation; None if there is none."""
    shelf = answer.notificationMsgs if conversation_id.startswith(NOTIFICATION_PREFIX) else answer.msgs
    return shelf.get(conversation_id)


def is_cut(answer: sdkws_pb2.PullMessageBySeqsResp) -> bool:
    """Whether messages that exist were cut off from the answer."""
    return any(part.endSeq for shelf in (answer.msgs, answer.notificationMsgs) for part in shelf.values())


def ascending(part: sdkws_pb2.PullMsgs | None) -> list[sdkws_pb2.MsgData]:
    return sorted(part.Msgs, key=lambda raw: raw.seq) if part is not None else []


async def pull_all(
    ask: Callable[[bytes], Awaitable[bytes]], user_id: str, span: SeqSpan, limit: int
) -> list[sdkws_pb2.MsgData]:
    """The newest `limit` messages of the span, ascending. Sends as many requests as needed, each with `ask`.

    Raises DecodeError, and whatever `ask` raises.
    """
    found: list[sdkws_pb2.MsgData] = []
    end = span.end
    while span.begin <= end and len(found) < limit:
        request = pull_request(user_id, [SeqSpan(span.conversation_id, span.begin, end)], limit - len(found))
        part = part_of(sdkws_pb2.PullMessageBySeqsResp.FromString(await ask(request)), span.conversation_id)
        found = ascending(part) + found
        if part is None or not 0 < part.endSeq <= end:
            break
        end = part.endSeq - 1
    return found
