"""How a conversation's entity marks messages as read (PROTOCOL 7.1): the mark and its 2200 are one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenroom.actors.errors import ArgsError, RecordNotFound
from greenroom.actors.messages import MarkConversationRead, MarkMessagesRead, SetReadSeq
from greenroom.actors.rules.notifications import HAS_READ, build, push_to
from greenroom.actors.stored_entity import Asker, Change, Deliver, Item
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import SessionType
from greenroom.persistence import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from greenroom.actors.conversation import Conversation
    from greenroom.actors.runtime.address import Address

__all__ = ["mark_conversation", "mark_messages", "raise_reading", "set_read_seq"]

_NOTICES_LIMIT: Final = 10
"""Of one mark."""

Mark = MarkConversationRead | MarkMessagesRead | SetReadSeq


def mark_conversation(entity: Conversation, command: MarkConversationRead, sender: Address) -> None:
    """Everything up to has_read_seq, and the seqs given."""
    if command.has_read_seq < 1:
        raise ArgsError("hasReadSeq must be at least 1")

    def then(record: store.Reading) -> None:
        read_seq = record.read_seq
        target = min(command.has_read_seq, entity.max_seq(command.conversation_id))
        if record.conversation_type != SessionType.SINGLE:
            entity.decide(*_raise_own(entity, command, target, asker=(sender, command.ref)))
            return
        given = _within(entity, command.conversation_id, command.seqs)
        limit = _limit(entity)
        seqs = sorted({*range(max(read_seq, target - limit) + 1, target + 1), *given})[-limit:]
        marked = store.MarkMessagesRead(command.conversation_id, command.user_id, read_seq + 1, target, given)
        _decide(entity, command, max(read_seq, target), seqs, record, marked, asker=(sender, command.ref))

    _with_reading(entity, command, sender, then)


def mark_messages(entity: Conversation, command: MarkMessagesRead, sender: Address) -> None:
    """Just these messages; the read seq rises to the last of them."""
    if not command.seqs or any(seq <= 0 for seq in command.seqs):
        raise ArgsError("seqs must be given, none of them 0")
    if len(command.seqs) > _limit(entity):
        raise ArgsError("too many seqs")

    def then(record: store.Reading) -> None:
        read_seq = record.read_seq
        last = command.seqs[-1]
        if last > entity.max_seq(command.conversation_id):
            raise ArgsError("seqs above the conversation's newest")
        seqs = _within(entity, command.conversation_id, command.seqs)
        marked = store.MarkMessagesRead(command.conversation_id, command.user_id, 1, 0, seqs)
        _decide(entity, command, max(read_seq, last), seqs, record, marked, asker=(sender, command.ref))

    _with_reading(entity, command, sender, then)


def set_read_seq(entity: Conversation, command: SetReadSeq, sender: Address) -> None:
    """The read seq alone; only the reader's own devices hear of it."""

    def then(record: store.Reading) -> None:
        if command.has_read_seq > entity.max_seq(command.conversation_id):
            raise ArgsError("hasReadSeq is above the conversation's newest seq")
        entity.decide(*_raise_own(entity, command, command.has_read_seq, asker=(sender, command.ref)))

    _with_reading(entity, command, sender, then)


def raise_reading(entity: Conversation, conversation_id: str, user_id: str, seq: int) -> None:
    """The user has read up to `seq`, if his state is known here."""
    where, readings = (conversation_id, user_id), entity.readings
    if readings is None:
        return
    known = readings.get(where)
    if known is not None and seq > known.read_seq:
        readings[where] = known._replace(read_seq=seq)


def _with_reading(
    entity: Conversation, command: Mark, sender: Address, then: Callable[[store.Reading], None]
) -> None:
    """`then` with the state of the user who marks; RecordNotFound for one who has no record of the conversation. The
    store is asked once in a life: nobody else changes what it says."""
    where = command.conversation_id, command.user_id
    known = (entity.readings or {}).get(where)
    if known is not None:
        then(known)
        return

    def keep(stored: store.Reading | None) -> None:
        if stored is None:
            raise RecordNotFound("no such conversation of this user")
        if entity.readings is None:
            entity.readings = {}
        entity.readings[where] = stored
        then(stored)

    entity.read(entity.world.store.reading(*where), keep, command, sender)


def _within(entity: Conversation, conversation_id: str, seqs: Iterable[int]) -> list[int]:
    top = entity.max_seq(conversation_id)
    return [seq for seq in seqs if 0 < seq <= top]


def _raise(entity: Conversation, command: Mark, seq: int) -> store.RaiseReadSeq:
    raise_reading(entity, command.conversation_id, command.user_id, seq)
    return store.RaiseReadSeq(command.conversation_id, command.user_id, seq)


def _raise_own(entity: Conversation, command: Mark, seq: int, *, asker: Asker) -> list[Item]:
    """Raise the read seq and tell the reader's own devices, without a stored notification."""
    tips = _tips(command, (), seq)
    reader = command.user_id
    push = push_to(reader, entity.world, HAS_READ, tips, send_id=reader, operation_id=command.caller.operation_id)
    effects = [Deliver(push, (reader,))]
    return [Change(_raise(entity, command, seq), effects=effects, askers=[asker])]


def _decide(
    entity: Conversation,
    command: MarkConversationRead | MarkMessagesRead,
    read_seq: int,
    seqs: Sequence[int],
    record: store.Reading,
    marked: store.MarkMessagesRead,
    *,
    asker: Asker,
) -> None:
    """The flags, the read seq, and stored 2200s to the peer or the group. In a single chat clients go by the seqs that
    these name, and by nothing else."""
    from greenroom.actors.conversation import Send

    writes: list[store.Block] = [_raise(entity, command, read_seq)]
    if record.conversation_type == SessionType.SINGLE:
        writes.append(marked)
    entity.decide(Change(*writes, askers=[asker]))
    in_group = record.conversation_type == SessionType.GROUP
    user_ids = None if in_group else tuple(dict.fromkeys((record.peer_id, command.user_id)))
    step = entity.world.settings.message.mark_seqs_limit
    for start in range(0, len(seqs), step):
        notice = build(
            entity.world,
            HAS_READ,
            _tips(command, seqs[start : start + step], read_seq),
            send_id=command.user_id,
            recv_id=record.group_id if in_group else record.peer_id,
            session_type=SessionType.GROUP if in_group else SessionType.SINGLE,
        )
        entity.stamp(notice, command.caller)
        entity.decide(Send(entity, notice, operation_id=command.caller.operation_id, user_ids=user_ids))


def _limit(entity: Conversation) -> int:
    return _NOTICES_LIMIT * entity.world.settings.message.mark_seqs_limit


def _tips(command: Mark, seqs: Sequence[int], read_seq: int) -> sdkws_pb2.MarkAsReadTips:
    return sdkws_pb2.MarkAsReadTips(
        markAsReadUserID=command.user_id,
        conversationID=command.conversation_id,
        seqs=seqs,
        hasReadSeq=read_seq,
    )
