"""Newest seqs, pulls and read states (PROTOCOL 5.1 to 5.5). They are read from the store, and no entity is woken."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from greenroom.actors.errors import ArgsError, NoPermission
from greenroom.actors.queries.slice_turns import SliceTurns
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.wire.splice import pull_entry, with_read, with_seq
from greenroom.actors.wire.vocabulary import NOTIFICATION_PREFIX, PullOrder
from greenroom.persistence.store import Span, Store, StoredMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence, Sized

    from greenroom.actors.messages import Caller
    from greenroom.persistence.store import Range, RecordPlace, SeqState

__all__ = ["Queries"]

T = TypeVar("T")

_RANGES_LIMIT = 1000
"""Maximum number of ranges or conversations in one request. The SDK sends about 100."""
_SEQS_LIMIT = 1000
"""Maximum number of seqs of one conversation in one request. The SDK sends at most 50."""
_ALL_SEQS_LIMIT = 10_000
"""Maximum number of seqs of all conversations in one request."""
_NUM_LIMIT = 1000
_PAGE_RECORDS = 512
"""Number of records that a query of all of them reads in one turn of the loop."""
_SLICE_CONVERSATIONS = 64
_SLICE_MESSAGES = 512
"""What a query reads in one turn of the loop: at most this many conversations, and messages unless one conversation has
more."""
_REPLY_LIMIT_BYTES = 768 * 1024
"""The SDK accepts frames of at most 1 MiB. Messages that do not fit are left out, and `endSeq` shows it."""


class Queries:
    """Each method returns a serialized response. Raises ArgsError, and NoPermission unless the caller is the user or an
    admin. A long answer is made in slices, which are not one snapshot of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.turns = SliceTurns()
        """The turns of all long queries and calls, also of those over HTTP."""

    async def newest_seqs(self, caller: Caller, request: sdkws_pb2.GetMaxSeqReq) -> bytes:
        """The newest seqs of all conversations of the user (1001)."""
        _check(caller, request.userID)
        reply = sdkws_pb2.GetMaxSeqResp()
        async for seqs in self._pages(caller, self._store.newest_seqs, request.userID):
            reply.maxSeqs.update(seqs)
        return reply.SerializeToString()

    async def pull_by_range(self, caller: Caller, request: sdkws_pb2.PullMessageBySeqsReq) -> bytes:
        """1002: the newest `num` messages of each range, in ascending order. A range without messages is left out. Of
        a range that does not fit, only the newest messages are returned, and `endSeq` is the seq of the oldest of these
        (the range's end + 1 if none fits); the ranges after it are left out.
        """
        _check(caller, request.userID)
        _bound("seqRanges", request.seqRanges, _RANGES_LIMIT)
        ranges: list[Range] = []
        for asked in {each.conversationID: each for each in request.seqRanges}.values():
            conversation_id = asked.conversationID
            newest = _NUM_LIMIT if conversation_id.startswith(NOTIFICATION_PREFIX) else min(asked.num, _NUM_LIMIT)
            ranges.append((conversation_id, asked.begin, asked.end, newest))
        ascending = request.order == PullOrder.ASCENDING
        entries: list[bytes] = []
        room = _REPLY_LIMIT_BYTES
        for place, piece in enumerate(_slices(ranges)):
            if place:
                await self.turns.next(caller.user_id)
            for pulled in await self._store.pull(request.userID, piece, limit_bytes=room):
                conversation_id, begin, end, _ = piece[pulled.place]
                fitting, room = _fit(pulled.messages, room)
                is_end = pulled.end <= end if ascending else begin <= pulled.begin
                end_seq = 0
                if room < 0:
                    end_seq = pulled.messages[-len(fitting)].seq if fitting else min(end, pulled.end) + 1
                entries.append(pull_entry(conversation_id, fitting, is_end, end_seq))
                if end_seq:
                    return b"".join(entries)
        return b"".join(entries)

    async def pull_by_seqs(self, caller: Caller, request: msg_pb2.GetSeqMessageReq) -> bytes:
        """1005: exactly these seqs, in the order asked for. Each conversation has an entry. An entry that does not fit
        lacks its first seqs (its last ones when the order is ascending, because OpenIM's SDK goes on from the other
        end). Such an entry is not `isEnd`, its `endSeq` is the seq next to the missing ones, and the conversations
        after it are left out.
        """
        _check(caller, request.userID)
        _bound("conversations", request.conversations, _RANGES_LIMIT)
        count = 0
        for asked in request.conversations:
            _bound("conversations.seqs", asked.seqs, _SEQS_LIMIT)
            count += len(asked.seqs)
        if count > _ALL_SEQS_LIMIT:
            raise ArgsError(f"conversations.seqs: more than {_ALL_SEQS_LIMIT} together")
        ids = list(dict.fromkeys(each.conversationID for each in request.conversations))
        spans: dict[str, Span] = {}
        for start in range(0, len(ids), _SLICE_CONVERSATIONS):
            if start:
                await self.turns.next(caller.user_id)
            spans |= await self._store.spans(request.userID, ids[start : start + _SLICE_CONVERSATIONS])
        ascending = request.order == PullOrder.ASCENDING
        entries: list[bytes] = []
        room = _REPLY_LIMIT_BYTES
        work = 0
        for asked in {each.conversationID: each for each in request.conversations}.values():
            work += len(asked.seqs) + _SLICE_MESSAGES // _SLICE_CONVERSATIONS
            if work > _SLICE_MESSAGES:
                work = 0
                await self.turns.next(caller.user_id)
            span = spans.get(asked.conversationID, Span(1, 0, 0))
            begin = max(span.begin, 1)
            seqs = [seq for seq in dict.fromkeys(asked.seqs) if begin <= seq <= span.end]
            found = await self._store.messages_at(asked.conversationID, seqs) if seqs else []
            fitting, room = _fit(found[::-1] if ascending else found, room)
            is_end, end_seq = False, 0
            if room < 0:
                if not fitting:
                    break
                end_seq = found[len(fitting) - 1 if ascending else -len(fitting)].seq
            elif ascending:
                if any(seq > span.end for seq in asked.seqs):
                    is_end, end_seq = True, span.end
            elif any(seq < begin for seq in asked.seqs):
                is_end, end_seq = True, begin
            entries.append(pull_entry(asked.conversationID, fitting[::-1] if ascending else fitting, is_end, end_seq))
            if room < 0:
                break
        return b"".join(entries)

    async def seq_states(self, caller: Caller, request: msg_pb2.GetConversationsHasReadAndMaxSeqReq) -> bytes:
        """The newest seqs and read seqs of conversations of the user (1006). An id that is asked for and is none of the
        user's has an entry with zeros."""
        _check(caller, request.userID)
        _bound("conversationIDs", request.conversationIDs, _RANGES_LIMIT)
        ids = list(dict.fromkeys(request.conversationIDs))
        reply = msg_pb2.GetConversationsHasReadAndMaxSeqResp()
        if ids:
            for conversation_id in ids:
                reply.seqs.get_or_create(conversation_id)
            _add_states(reply, await self._store.seq_states(request.userID, ids))
            notices = [conversation_id for conversation_id in ids if conversation_id.startswith(NOTIFICATION_PREFIX)]
            if notices:
                _add_states(reply, await self._store.notification_states(request.userID, notices))
        else:
            async for states in self._pages(caller, self._store.all_seq_states, request.userID):
                _add_states(reply, states)
        if request.returnPinned:
            pinned, _ = await self._store.record_ids(request.userID, None, _RANGES_LIMIT, is_pinned=True)
            reply.pinnedConversationIDs.extend(pinned)
        return reply.SerializeToString()

    async def last_messages(self, caller: Caller, request: msg_pb2.GetLastMessageReq) -> bytes:
        """1007: the newest message of each conversation that the user may see. Those that do not fit are left out."""
        _check(caller, request.userID)
        _bound("conversationIDs", request.conversationIDs, _RANGES_LIMIT)
        ids = list(dict.fromkeys(request.conversationIDs))
        reply = msg_pb2.GetLastMessageResp()
        room = _REPLY_LIMIT_BYTES
        for start in range(0, len(ids), _SLICE_CONVERSATIONS):
            if start:
                await self.turns.next(caller.user_id)
            spans = await self._store.spans(request.userID, ids[start : start + _SLICE_CONVERSATIONS])
            tops = {conversation_id: span.end for conversation_id, span in spans.items() if span.begin <= span.end}
            for conversation_id, message in (await self._store.last_messages(tops)).items():
                if message.seq >= spans[conversation_id].begin:
                    room -= len(message.body)
                    if room < 0 and reply.msgs:
                        return reply.SerializeToString()
                    reply.msgs[conversation_id].ParseFromString(_shape(message))
        return reply.SerializeToString()

    async def _pages(
        self,
        caller: Caller,
        read: Callable[[str, RecordPlace | None, int], Awaitable[tuple[T, RecordPlace | None]]],
        user_id: str,
    ) -> AsyncIterator[T]:
        """What is read of all records of the user, one page in a turn of the loop."""
        page, place = await read(user_id, None, _PAGE_RECORDS)
        yield page
        while place is not None:
            await self.turns.next(caller.user_id)
            page, place = await read(user_id, place, _PAGE_RECORDS)
            yield page


def _add_states(reply: msg_pb2.GetConversationsHasReadAndMaxSeqResp, states: Mapping[str, SeqState]) -> None:
    for conversation_id, state in states.items():
        entry = reply.seqs[conversation_id]
        entry.maxSeq = max(state.max_seq, 0)  # -1: the user left before there was a message.
        entry.hasReadSeq, entry.maxSeqTime = state.read_seq, state.max_seq_time


def _check(caller: Caller, user_id: str) -> None:
    if caller.user_id != user_id and not caller.is_admin:
        raise NoPermission("only the user themselves or an admin may ask for this")


def _bound(name: str, items: Sized, limit: int) -> None:
    if len(items) > limit:
        raise ArgsError(f"{name}: more than {limit}")


def _slices(ranges: Sequence[Range]) -> Iterator[list[Range]]:
    """The ranges in their order, in lists that are read in one turn of the loop each."""
    piece: list[Range] = []
    room = 0
    for asked in ranges:
        messages = max(min(asked[3], asked[2] - asked[1] + 1), 0)
        if piece and (len(piece) == _SLICE_CONVERSATIONS or messages > room):
            yield piece
            piece, room = [], 0
        if not piece:
            room = _SLICE_MESSAGES
        piece.append(asked)
        room -= messages
    if piece:
        yield piece


def _shape(message: StoredMessage) -> bytes:
    """A message in the form in which it is pulled (PROTOCOL 5.2)."""
    body = with_seq(message.body, message.seq)
    return with_read(body) if message.is_read else body


def _fit(messages: list[StoredMessage], room: int) -> tuple[list[bytes], int]:
    """The last messages that fit into `room` bytes, in the form in which they are pulled, and the remaining room.
    It is negative if not all messages fit. The first message of an answer always fits."""
    fitting: list[bytes] = []
    for message in reversed(messages):
        remaining = room - len(message.body) - 16
        if room == _REPLY_LIMIT_BYTES:
            remaining = max(remaining, 0)
        room = remaining
        if room < 0:
            break
        fitting.append(_shape(message))
    fitting.reverse()
    return fitting, room
