"""Which messages of a conversation have been accepted, and which must be pulled (PROTOCOL 5.6). No I/O.

A pushed message is accepted only as the successor of the last accepted one. So each message is accepted once, in seq
order and without a gap. A message after a gap is not kept: it is pulled together with the gap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.transport.client.pull import SeqSpan, ascending, is_cut, part_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from greenroom.actors.wire import sdkws_pb2

__all__ = ["Timelines"]


class Timelines:
    """The seqs of all conversations of one client.

    `from_beginning`: whether to pull the earlier messages of conversations that exist at the first `learn`. A
    conversation that first appears later is always pulled from seq 1.
    """

    def __init__(self, *, from_beginning: bool) -> None:
        self.synced: dict[str, int] = {}
        """Conversation -> the seq up to which all messages have been accepted."""
        self.holes = 0
        """Number of seqs without a message at the server: it was deleted, outside the membership, or lost."""
        self._target: dict[str, int] = {}
        """Conversation -> its highest known seq, only if that is above `synced`."""
        self._page: int | None = None
        """Number of messages in the last answer that was cut; None after an answer that was not cut."""
        self._from_beginning = from_beginning
        self._learned = False

    @property
    def behind(self) -> bool:
        """Whether there are messages to pull."""
        return bool(self._target)

    def offer(self, conversation_id: str, seq: int) -> bool:
        """Whether to accept this message now. Notes a gap before it. Seq 0 (not stored) is always accepted."""
        if seq == 0:
            return True
        synced = self._begin(conversation_id, seq)
        if seq == synced + 1:
            self._advance(conversation_id, seq)
            return True
        if seq > synced:
            self.note(conversation_id, seq)
        return False

    def postpone(self, conversation_id: str, seq: int) -> bool:
        """As `offer`, but without room for stored messages: such a message is noted, to be pulled later."""
        if seq:
            self._begin(conversation_id, seq)
            self.note(conversation_id, seq)
        return not seq

    def note(self, conversation_id: str, seq: int) -> None:
        """Note that the conversation has a message with this seq."""
        if seq > max(self.synced.setdefault(conversation_id, 0), self._target.get(conversation_id, 0)):
            self._target[conversation_id] = seq

    def learn(self, newest: Mapping[str, int]) -> None:
        """Note the newest seqs after a login. Without `from_beginning`, the first ones are where delivery begins."""
        start_here = not self._learned and not self._from_beginning
        for conversation_id, seq in newest.items():
            if start_here:
                self.synced.setdefault(conversation_id, seq)
            self.note(conversation_id, seq)
        self._learned = True

    def missing(self, *, page: int, conversations: int) -> Iterator[SeqSpan]:
        """What to pull next: the oldest missing page of each conversation, for at most this many conversations."""
        page = min(page, self._page or page)
        for _, conversation_id in zip(range(conversations), self._target, strict=False):
            begin = self.synced[conversation_id] + 1
            yield SeqSpan(conversation_id, begin, min(self._target[conversation_id], begin + page - 1))

    def accept_pulled(
        self, spans: Iterable[SeqSpan], answer: sdkws_pb2.PullMessageBySeqsResp
    ) -> Iterator[tuple[str, sdkws_pb2.MsgData]]:
        """The messages to accept from the answer to these spans, each with its conversation.

        If a message is not in an answer that was not cut, it does not exist. Messages that were cut off are still
        missing, and are pulled later in smaller pages.
        """
        cut = is_cut(answer)
        for span in spans:
            part = part_of(answer, span.conversation_id)
            if cut and (part is None or part.endSeq):
                if part is not None and part.Msgs:
                    self._page = len(part.Msgs)
                continue
            for raw in ascending(part):
                if self._accept(span.conversation_id, raw.seq):
                    yield span.conversation_id, raw
            self._pass(span)
        if not self._target:
            self._page = None

    def _accept(self, conversation_id: str, seq: int) -> bool:
        synced = self.synced[conversation_id]
        if seq <= synced:
            return False
        self.holes += seq - synced - 1
        self._advance(conversation_id, seq)
        return True

    def _pass(self, span: SeqSpan) -> None:
        synced = self.synced[span.conversation_id]
        if synced < span.end:
            self.holes += span.end - synced
            self._advance(span.conversation_id, span.end)

    def _begin(self, conversation_id: str, seq: int) -> int:
        synced = self.synced.get(conversation_id)
        if synced is None:
            synced = 0 if self._learned or self._from_beginning else seq - 1
            self.synced[conversation_id] = synced
        return synced

    def _advance(self, conversation_id: str, seq: int) -> None:
        self.synced[conversation_id] = seq
        if self._target.get(conversation_id, seq + 1) <= seq:
            del self._target[conversation_id]
