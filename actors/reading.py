"""How a conversation's entity marks messages as read (PROTOCOL 7.1): the mark and its 2200 are one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import ArgsError, RecordNotFound
from greenroom.actors.messages import MarkConversationRead, MarkMessagesRead, Push, SetReadSeq
from greenroom.actors.rules import message as rules
from greenroom.actors.rules.ids import GROUP, SINGLE, own_notification_id
from greenroom.actors.rules.notifications import HAS_READ, build
from greenroom.actors.stored_entity import Asker, Change, Deliver, Item
from greenroom.persistence import store
from greenroom.transport.wire import sdkws_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from greenroom.actors.conversation import Conversation
    from greenroom.actors.runtime.address import Address

__all__ = ["mark_conversation", "mark_messages", "set_read_seq"]

Mark = MarkConversationRead | MarkMessagesRead | SetReadSeq


def mark_conversation(entity: Conversation, command: MarkConversationRead, sender: Address) -> None:
    """Everything up to has_read_seq, and the seqs given."""
    if command.has_read_seq < 1:
        raise ArgsError("hasReadSeq must be at least 1")

    def then(record: store.Reading) -> None:
        read_seq = record.read_seq
        target = min(command.has_read_seq, entity.max_seq(command.conversation_id))
        if record.conversation_type != SINGLE:
            entity.decide(*_raise_own(entity, command, target, asker=(sender, command.ref)))
            return
        given = _within(entity, command.conversation_id, command.seqs)
        limit = entity.world.settings.message.mark_seqs_limit
        seqs = sorted({*range(max(read_seq, target - limit) + 1, target + 1), *given})[-limit:]
        marked = store.MarkMessagesRead(command.conversation_id, command.user_id, read_seq + 1, target, given)
        _decide(entity, command, max(read_seq, target), seqs, record, marked, asker=(sender, command.ref))

    entity.read(_reading(entity, command), then, command, sender)


def mark_messages(entity: Conversation, command: MarkMessagesRead, sender: Address) -> None:
    """Just these messages; the read seq rises to the last of them."""
    if not command.seqs or any(seq <= 0 for seq in command.seqs):
        raise ArgsError("seqs must be given, none of them 0")
    if len(command.seqs) > entity.world.settings.message.mark_seqs_limit:
        raise ArgsError("too many seqs")

    def then(record: store.Reading) -> None:
        read_seq = record.read_seq
        last = command.seqs[-1]
        if last > entity.max_seq(command.conversation_id):
            raise ArgsError("seqs above the conversation's newest")
        seqs = _within(entity, command.conversation_id, command.seqs)
        marked = store.MarkMessagesRead(command.conversation_id, command.user_id, 1, 0, seqs)
        _decide(entity, command, max(read_seq, last), seqs, record, marked, asker=(sender, command.ref))

    entity.read(_reading(entity, command), then, command, sender)


def set_read_seq(entity: Conversation, command: SetReadSeq, sender: Address) -> None:
    """The read seq alone; only the reader's own devices hear of it."""

    def then(record: store.Reading) -> None:
        if command.has_read_seq > entity.max_seq(command.conversation_id):
            raise ArgsError("hasReadSeq is above the conversation's newest seq")
        entity.decide(*_raise_own(entity, command, command.has_read_seq, asker=(sender, command.ref)))

    entity.read(_reading(entity, command), then, command, sender)


async def _reading(entity: Conversation, command: Mark) -> store.Reading:
    """Raises RecordNotFound if the user has no record of the conversation."""
    where = command.conversation_id, command.user_id
    stored = await entity.world.store.reading(*where)
    if stored is None:
        raise RecordNotFound("no such conversation of this user")
    ahead = (entity.read_ahead or {}).get(where, 0)
    return stored._replace(read_seq=ahead) if ahead > stored.read_seq else stored


def _within(entity: Conversation, conversation_id: str, seqs: Iterable[int]) -> list[int]:
    top = entity.max_seq(conversation_id)
    return [seq for seq in seqs if 0 < seq <= top]


def _raise(entity: Conversation, command: Mark, seq: int) -> store.RaiseReadSeq:
    where = command.conversation_id, command.user_id
    if entity.read_ahead is None:
        entity.read_ahead = {}
    entity.read_ahead[where] = max(seq, entity.read_ahead.get(where, 0))
    return store.RaiseReadSeq(*where, seq)


def _raise_own(entity: Conversation, command: Mark, seq: int, *, asker: Asker) -> list[Item]:
    """Raise the read seq and tell the reader's own devices, without a stored notification."""
    tips = _tips(command, (), seq)
    notice = build(entity.world, HAS_READ, tips, send_id=command.user_id, recv_id=command.user_id)
    push = Push(own_notification_id(command.user_id), rules.render(notice), command.caller.operation_id)
    effects = [Deliver(push, (command.user_id,))]
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
    """The flags, the read seq, and a stored 2200 to the peer or the group."""
    from greenroom.actors.conversation import Send

    writes: list[store.Block] = [_raise(entity, command, read_seq)]
    if record.conversation_type == SINGLE:
        writes.append(marked)
    entity.decide(Change(*writes, askers=[asker]))
    if not seqs:
        return
    in_group = record.conversation_type == GROUP
    notice = build(
        entity.world,
        HAS_READ,
        _tips(command, seqs, read_seq),
        send_id=command.user_id,
        recv_id=record.group_id if in_group else record.peer_id,
        session_type=GROUP if in_group else SINGLE,
        stored=True,
    )
    entity.stamp(notice, command.caller)
    user_ids = None if in_group else tuple(dict.fromkeys((record.peer_id, command.user_id)))
    entity.decide(Send(entity, notice, operation_id=command.caller.operation_id, user_ids=user_ids))


def _tips(command: Mark, seqs: Sequence[int], read_seq: int) -> sdkws_pb2.MarkAsReadTips:
    return sdkws_pb2.MarkAsReadTips(
        markAsReadUserID=command.user_id,
        conversationID=command.conversation_id,
        seqs=seqs,
        hasReadSeq=read_seq,
    )
