"""Marks messages as read (PROTOCOL 7.1). A mark and its notifications (2200) are committed in one slice."""

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
"""Maximum number of notifications for one mark."""
_READINGS_LIMIT: Final = 16
"""Maximum number of read states that are kept once all marks are stored."""

Mark = MarkConversationRead | MarkMessagesRead | SetReadSeq


class Receipts:
    """Decides the marks of one key: `check` a mark, get the reader's read state, and store the `items` of the mark.

    The read state of each reader is read from the store once per incarnation, because only this entity changes it. It
    includes marks that are not committed yet. The reader's own messages count once they are committed, because their
    seqs may change until then.

    It is read again for a mark above the newest seq that this entity knows, because clients may pull a message before
    the entity gets SliceStored. No read seq rises above the newest seq that the reader may see.
    """

    def __init__(self, world: World, log: Log) -> None:
        self._world = world
        self._log = log
        self._readings: dict[tuple[str, str], store.Reading] = {}
        """Read states by conversation and user."""

    def check(self, mark: Mark) -> None:
        """Raises ArgsError for a mark that no user may send."""
        if isinstance(mark, MarkConversationRead):
            if mark.has_read_seq < 1:
                raise ArgsError("hasReadSeq must be at least 1")
        elif isinstance(mark, MarkMessagesRead):
            if not mark.seqs or any(seq <= 0 for seq in mark.seqs):
                raise ArgsError("at least one seq must be given, and each must be at least 1")
            if len(mark.seqs) > self._limit:
                raise ArgsError("too many seqs")

    def known(self, mark: Mark) -> store.Reading | None:
        """The read state of the reader. None if it must be read from the store first."""
        newest = self._log.newest(mark.conversation_id)
        known = self._readings.get((mark.conversation_id, mark.user_id))
        top = max(mark.seqs) if isinstance(mark, MarkMessagesRead) else mark.has_read_seq
        return known._replace(end=newest, max_seq=newest) if known is not None and top <= newest else None

    def keep(self, mark: Mark, stored: store.Reading | None) -> store.Reading:
        """Keep the read state that was read. Raises RecordNotFound if the reader has no record of the conversation."""
        if stored is None:
            raise RecordNotFound("the user has no such conversation")
        where = mark.conversation_id, mark.user_id
        known = self._readings.get(where, stored)
        self._readings[where] = stored = stored._replace(read_seq=max(stored.read_seq, known.read_seq))
        return stored

    def committed(self, conversation_id: str, user_id: str, seq: int) -> None:
        """A message of this user has been stored: they have read everything up to it."""
        self._raise_known(conversation_id, user_id, seq)

    def settled(self) -> None:
        """All marks have been stored: read states may be dropped, and read from the store again."""
        if len(self._readings) > _READINGS_LIMIT:
            self._readings.clear()

    def items(self, mark: Mark, reading: store.Reading, asker: Asker, *, is_member: bool) -> Iterable[Item]:
        """The changes and notifications of the mark. Without `is_member`, the reader has left the group, and only their
        own devices are notified. Raises ArgsError."""
        if isinstance(mark, MarkConversationRead):
            return self._mark_conversation(mark, reading, asker)
        if isinstance(mark, MarkMessagesRead):
            return self._mark_messages(mark, reading, asker, is_member=is_member)
        if mark.has_read_seq > reading.max_seq:
            raise ArgsError("hasReadSeq is above the conversation's newest seq")
        return self._raise_own(mark, min(mark.has_read_seq, reading.end), asker)

    def _mark_conversation(
        self, command: MarkConversationRead, record: store.Reading, asker: Asker
    ) -> Iterable[Item]:
        """Mark everything up to has_read_seq, and the given seqs."""
        read_seq = record.read_seq
        target = min(command.has_read_seq, record.end)
        if record.conversation_type != SessionType.SINGLE:
            return self._raise_own(command, target, asker)
        given = _within(record, command.seqs)
        limit = self._limit
        seqs = sorted({*range(max(read_seq, target - limit) + 1, target + 1), *given})[-limit:]
        marked = store.SetReadFlags(command.conversation_id, command.user_id, read_seq + 1, target, given)
        return self._mark(command, max(read_seq, target), seqs, record, marked, asker)

    def _mark_messages(
        self, command: MarkMessagesRead, record: store.Reading, asker: Asker, *, is_member: bool
    ) -> Iterable[Item]:
        """Mark only these messages. The read seq rises to the last of them."""
        read_seq = record.read_seq
        last = command.seqs[-1]
        if last > record.max_seq:
            raise ArgsError("seqs above the conversation's newest")
        if not is_member:
            return self._raise_own(command, max(read_seq, min(last, record.end)), asker)
        seqs = _within(record, command.seqs)
        marked = store.SetReadFlags(command.conversation_id, command.user_id, 1, 0, seqs)
        return self._mark(command, max(read_seq, min(last, record.end)), seqs, record, marked, asker)

    def _mark(
        self,
        command: MarkConversationRead | MarkMessagesRead,
        read_seq: int,
        seqs: Sequence[int],
        record: store.Reading,
        marked: store.SetReadFlags,
        asker: Asker,
    ) -> Iterator[Item]:
        """Store the flags, the read seq, and notifications (2200) to the peer or the group. In a single chat, clients
        use only the seqs in these notifications."""
        writes: list[store.AnyWrite] = [self._raise(command, read_seq)]
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
        """Raise the read seq, and notify the reader's own devices. The notification is not stored."""
        tips = _tips(command, (), seq)
        reader = command.user_id
        push = push_to(
            reader, self._world, HAS_READ, tips, send_id=reader, operation_id=command.caller.operation_id
        )
        yield Change(self._raise(command, seq), effects=[Deliver(push, (reader,))], askers=[asker])

    def _raise(self, command: Mark, seq: int) -> store.RaiseReadSeq:
        self._raise_known(command.conversation_id, command.user_id, seq)
        return store.RaiseReadSeq(command.conversation_id, command.user_id, seq)

    def _raise_known(self, conversation_id: str, user_id: str, seq: int) -> None:
        where = conversation_id, user_id
        known = self._readings.get(where)
        if known is not None and seq > known.read_seq:
            self._readings[where] = known._replace(read_seq=seq)

    @property
    def _limit(self) -> int:
        """Maximum number of messages that one mark names."""
        return _NOTICES_LIMIT * self._world.settings.message.mark_seqs_limit


def _within(record: store.Reading, seqs: Iterable[int]) -> list[int]:
    """The seqs of messages that the reader may see."""
    return [seq for seq in seqs if 0 < seq <= record.end]


def _tips(command: Mark, seqs: Sequence[int], read_seq: int) -> sdkws_pb2.MarkAsReadTips:
    return sdkws_pb2.MarkAsReadTips(
        markAsReadUserID=command.user_id,
        conversationID=command.conversation_id,
        seqs=seqs,
        hasReadSeq=read_seq,
    )
