"""How messages are marked as read (PROTOCOL 7.1): the mark and its 2200 are one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenroom.actors.effects import Asker, Deliver
from greenroom.actors.errors import ArgsError, RecordNotFound
from greenroom.actors.items import Change, Item
from greenroom.actors.messages import MarkConversationRead, MarkMessagesRead, SetReadSeq
from greenroom.actors.rules.notifications import HAS_READ, build, push_to
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import SessionType
from greenroom.persistence import store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from greenroom.actors.log import Log
    from greenroom.actors.world import World

__all__ = ["Mark", "Receipts"]

_NOTICES_LIMIT: Final = 10
"""Notices of one mark."""
_READINGS_KEPT: Final = 16
"""Users whose state is kept although all of their marks are stored."""

Mark = MarkConversationRead | MarkMessagesRead | SetReadSeq


class Receipts:
    """Decides the marks of one key: `check` a mark, give it the state of the user who marks, store its items.

    The state of each user who marks is read once in a life: nobody else changes it. It is kept with the marks that
    are not committed yet. A user's own messages count once they are committed: until then their seqs may change.
    """

    def __init__(self, world: World, log: Log) -> None:
        self._world = world
        self._log = log
        self._readings: dict[tuple[str, str], store.Reading] = {}
        """By conversation and user."""

    def check(self, mark: Mark) -> None:
        """Raises ArgsError for what no user may ask."""
        if isinstance(mark, MarkConversationRead):
            if mark.has_read_seq < 1:
                raise ArgsError("hasReadSeq must be at least 1")
        elif isinstance(mark, MarkMessagesRead):
            if not mark.seqs or any(seq <= 0 for seq in mark.seqs):
                raise ArgsError("seqs must be given, none of them 0")
            if len(mark.seqs) > self._limit:
                raise ArgsError("too many seqs")

    def known(self, mark: Mark) -> store.Reading | None:
        """The state of the user who marks; None: it must be read."""
        return self._readings.get((mark.conversation_id, mark.user_id))

    def keep(self, mark: Mark, stored: store.Reading | None) -> store.Reading:
        """Take over what was read. Raises RecordNotFound for a user who has no record of the conversation."""
        if stored is None:
            raise RecordNotFound("no such conversation of this user")
        self._readings[mark.conversation_id, mark.user_id] = stored
        return stored

    def committed(self, conversation_id: str, user_id: str, seq: int) -> None:
        """A message of this user is stored: they have read up to it."""
        self._raise_kept(conversation_id, user_id, seq)

    def settled(self) -> None:
        """All marks are stored: the store can be asked again."""
        if len(self._readings) > _READINGS_KEPT:
            self._readings.clear()

    def items(self, mark: Mark, reading: store.Reading, asker: Asker) -> Iterable[Item]:
        """What the mark changes, and whom it tells. Raises ArgsError."""
        if isinstance(mark, MarkConversationRead):
            return self._mark_conversation(mark, reading, asker)
        if isinstance(mark, MarkMessagesRead):
            return self._mark_messages(mark, reading, asker)
        if mark.has_read_seq > self._log.newest(mark.conversation_id):
            raise ArgsError("hasReadSeq is above the conversation's newest seq")
        return self._raise_own(mark, mark.has_read_seq, asker)

    def _mark_conversation(
        self, command: MarkConversationRead, record: store.Reading, asker: Asker
    ) -> Iterable[Item]:
        """Everything up to has_read_seq, and the seqs given."""
        read_seq = record.read_seq
        target = min(command.has_read_seq, self._log.newest(command.conversation_id))
        if record.conversation_type != SessionType.SINGLE:
            return self._raise_own(command, target, asker)
        given = self._within(command.conversation_id, command.seqs)
        limit = self._limit
        seqs = sorted({*range(max(read_seq, target - limit) + 1, target + 1), *given})[-limit:]
        marked = store.SetReadFlags(command.conversation_id, command.user_id, read_seq + 1, target, given)
        return self._mark(command, max(read_seq, target), seqs, record, marked, asker)

    def _mark_messages(self, command: MarkMessagesRead, record: store.Reading, asker: Asker) -> Iterable[Item]:
        """Just these messages; the read seq rises to the last of them."""
        read_seq = record.read_seq
        last = command.seqs[-1]
        if last > self._log.newest(command.conversation_id):
            raise ArgsError("seqs above the conversation's newest")
        seqs = self._within(command.conversation_id, command.seqs)
        marked = store.SetReadFlags(command.conversation_id, command.user_id, 1, 0, seqs)
        return self._mark(command, max(read_seq, last), seqs, record, marked, asker)

    def _mark(
        self,
        command: MarkConversationRead | MarkMessagesRead,
        read_seq: int,
        seqs: Sequence[int],
        record: store.Reading,
        marked: store.SetReadFlags,
        asker: Asker,
    ) -> Iterator[Item]:
        """The flags, the read seq, and stored 2200s to the peer or the group. In a single chat clients go by the seqs
        that these name, and by nothing else."""
        writes: list[store.Block] = [self._raise(command, read_seq)]
        if record.conversation_type == SessionType.SINGLE:
            writes.append(marked)
        yield Change(*writes, askers=[asker])
        in_group = record.conversation_type == SessionType.GROUP
        user_ids = None if in_group else tuple(dict.fromkeys((record.peer_id, command.user_id)))
        step = self._world.settings.message.mark_seqs_limit
        for start in range(0, len(seqs), step):
            notice = build(
                self._world,
                HAS_READ,
                _tips(command, seqs[start : start + step], read_seq),
                send_id=command.user_id,
                recv_id=record.group_id if in_group else record.peer_id,
                session_type=SessionType.GROUP if in_group else SessionType.SINGLE,
            )
            yield self._log.send(notice, command.caller, user_ids=user_ids)

    def _raise_own(self, command: Mark, seq: int, asker: Asker) -> Iterator[Item]:
        """Raise the read seq and tell the reader's own devices, without a stored notification."""
        tips = _tips(command, (), seq)
        reader = command.user_id
        push = push_to(
            reader, self._world, HAS_READ, tips, send_id=reader, operation_id=command.caller.operation_id
        )
        yield Change(self._raise(command, seq), effects=[Deliver(push, (reader,))], askers=[asker])

    def _raise(self, command: Mark, seq: int) -> store.RaiseReadSeq:
        self._raise_kept(command.conversation_id, command.user_id, seq)
        return store.RaiseReadSeq(command.conversation_id, command.user_id, seq)

    def _raise_kept(self, conversation_id: str, user_id: str, seq: int) -> None:
        where = conversation_id, user_id
        known = self._readings.get(where)
        if known is not None and seq > known.read_seq:
            self._readings[where] = known._replace(read_seq=seq)

    def _within(self, conversation_id: str, seqs: Iterable[int]) -> list[int]:
        top = self._log.newest(conversation_id)
        return [seq for seq in seqs if 0 < seq <= top]

    @property
    def _limit(self) -> int:
        """Most messages that one mark names."""
        return _NOTICES_LIMIT * self._world.settings.message.mark_seqs_limit


def _tips(command: Mark, seqs: Sequence[int], read_seq: int) -> sdkws_pb2.MarkAsReadTips:
    return sdkws_pb2.MarkAsReadTips(
        markAsReadUserID=command.user_id,
        conversationID=command.conversation_id,
        seqs=seqs,
        hasReadSeq=read_seq,
    )
