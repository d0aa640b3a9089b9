"""Conversation: what the entities of pairs and groups have in common. It is a log to which messages are added.

Ordering rule: messages get their seqs in the order in which this actor accepted them. A seq is assigned when the slice
is sealed, so a refused slice leaves no gap. Messages are acknowledged and pushed after the commit, in seq order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from greenroom.actors.effects import Asker, Reply
from greenroom.actors.errors import ArgsError, GreenroomError, MailboxFull, StoreFailed
from greenroom.actors.log import Log, Send, answer
from greenroom.actors.receipts import Mark, Receipts
from greenroom.actors.rules import message as rules
from greenroom.actors.stored_entity import StateT, StoredEntity
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import ContentType
from greenroom.persistence.store import (
    CHATS_OF,
    AddMessage,
    AddRecords,
    AnyWrite,
    ClaimKey,
    KeyKind,
    KeyState,
    Reading,
    Reason,
    Refusal,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from greenroom.actors.items import Item
    from greenroom.actors.messages import (
        MarkConversationRead,
        MarkMessagesRead,
        SendMessage,
        SetReadSeq,
    )
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.world import World

__all__ = ["Conversation"]


class Conversation(StoredEntity[StateT]):
    """Answers SendMessage, MarkConversationRead, MarkMessagesRead, SetReadSeq. Subclasses decide who may send, and
    know the members of the key.

    Order and loss: see the module. Duplication: a repeat of (sender, clientMsgID) gets the first answer.
    """

    KIND: ClassVar[KeyKind]

    def __init__(self, world: World, key: str) -> None:
        super().__init__(world, key)
        self.log = Log(world, key, CHATS_OF[self.KIND][0])
        self.is_claimed = False
        """Whether the key's members are stored."""
        self._receipts: Receipts | None = None
        """None before the first mark."""
        self._pending_sends: dict[tuple[str, str], Send] = {}
        """Accepted sends that are not yet answered, by (sender, clientMsgID)."""
        self._pending_count = 0
        """Number of accepted sends that are not yet answered, including those without a clientMsgID."""

    def admit(self, command: SendMessage, sender: Address) -> None:
        """Check whether the message may be sent, then `accept` it. May await a read first."""
        raise NotImplementedError

    def claim_members(self, message: sdkws_pb2.MsgData) -> tuple[str, ...]:
        """The members with which the first message claims the key."""
        raise NotImplementedError

    def records(self, conversation_id: str, message: sdkws_pb2.MsgData) -> AddRecords:
        """The write that creates the conversation records with the first message of a chat (PROTOCOL 3.7)."""
        raise NotImplementedError

    def sees_all(self, user_id: str) -> bool:
        """Whether this user, who has a record of the chat, sees even the newest message, as they have not left."""
        return True

    async def load_key(self) -> KeyState | None:
        """Read the state of the key from the store: a part of the whole state, or all of it."""
        return await self.world.store.key(self.KIND, self.id)

    def on_key_loaded(self, key: KeyState | None) -> None:
        """Initialize what every conversation has."""
        if key is not None:
            self.is_claimed = True
            self.log.loaded(key)

    def receiveMsg_SendMessage(self, command: SendMessage, sender: Address) -> None:
        message, caller = command.message, command.caller
        rules.check(message, caller)
        if self._join_pending(message, (sender, command.ref)):
            return
        if message.contentType == ContentType.TYPING and self.world.health.is_overloaded:
            self._shed(command, sender)
            return
        self.admit(command, sender)

    def _join_pending(self, message: sdkws_pb2.MsgData, asker: Asker) -> bool:
        """Whether this message repeats a pending send. If so, the asker gets the same answer."""
        send = self._pending_sends.get((message.sendID, message.clientMsgID))
        if send is None:
            return False
        send.askers.append(asker)
        return True

    def _shed(self, command: SendMessage, sender: Address) -> None:
        """Acknowledge a typing sign without delivering it."""
        message = command.message
        self.log.stamp(message, command.caller)
        self.world.health.typing_shed += 1
        value = answer(message.serverMsgID, message.clientMsgID, message.sendTime)
        Reply([(sender, command.ref)], value).run(self)

    def accept(self, command: SendMessage, sender: Address, user_ids: tuple[str, ...] | None) -> bool:
        """Store a message that has passed its checks, or push it at once. It goes to `user_ids`, or to the audience if
        that is None. Returns whether it will be stored."""
        send = self.log.send(command.message, command.caller, user_ids=user_ids, askers=[(sender, command.ref)])
        if not send.stored:
            for effect in send.effects():
                effect.run(self)
            self.world.health.sends_answered += 1
            return False
        if self.is_late:
            raise StoreFailed("the store is slow")
        if self._pending_count >= self.world.settings.message.sends_in_flight:
            raise MailboxFull("too many sends of this conversation are waiting for the store")
        if send.client_msg_id:
            self._pending_sends[send.send_id, send.client_msg_id] = send
        self.add_to_draft(send)
        return True

    def add_to_draft(self, *items: Item) -> None:
        for item in items:
            if isinstance(item, Send) and item.stored:
                self._pending_count += 1
        super().add_to_draft(*items)

    def seal(self, item: Item, seqs: dict[str, int]) -> Iterable[AnyWrite]:
        return self._add(item, seqs) if isinstance(item, Send) else super().seal(item, seqs)

    def _add(self, send: Send, seqs: dict[str, int]) -> list[AnyWrite]:
        """Assign the next seq to each stored part of the send, and return the writes that store the parts."""
        writes: list[AnyWrite] = []
        for part in send.parts:
            if not part.stored:
                continue
            part.seq = seq = self.last_seq(part.conversation_id, seqs) + 1
            seqs[part.conversation_id] = seq
            if seq == 1:
                message = sdkws_pb2.MsgData.FromString(part.body)
                writes += self._first_writes(part.conversation_id, message, part.is_chat)
            writes.append(
                AddMessage(
                    conversation_id=part.conversation_id,
                    seq=seq,
                    send_id=send.send_id,
                    client_msg_id=send.client_msg_id,
                    server_msg_id=send.server_msg_id,
                    send_time=send.send_time,
                    content_type=send.content_type,
                    body=part.body,
                )
            )
        return writes

    def last_seq(self, conversation_id: str, seqs: dict[str, int]) -> int:
        """The newest seq of the conversation, counting those already assigned in the slice being sealed."""
        return seqs.get(conversation_id) or self.log.newest(conversation_id)

    def _first_writes(self, conversation_id: str, message: sdkws_pb2.MsgData, is_chat: bool) -> list[AnyWrite]:
        """The writes that precede the first message of a conversation: they claim the key if it is not claimed yet, and
        create the members' records of a chat."""
        writes: list[AnyWrite] = []
        if not self.is_claimed:
            writes.append(ClaimKey(self.KIND, self.claim_members(message)))
        if is_chat:
            writes.append(self.records(conversation_id, message))
        return writes

    def on_committed(self, items: Sequence[Item]) -> None:
        self.is_claimed = True
        for item in items:
            if isinstance(item, Send) and item.stored:
                self.log.committed(item)
                self._forget(item)
                self.world.health.sends_answered += 1
                if self._receipts is not None:
                    for part in item.parts:
                        self._receipts.committed(part.conversation_id, item.send_id, part.seq)
        if self._receipts is not None and self.is_settled:
            self._receipts.settled()

    def on_repeated(self, item: Item, refusal: Refusal) -> None:
        if not isinstance(item, Send) or refusal.first is None:
            super().on_repeated(item, refusal)
            return
        self._forget(item)
        first = refusal.first
        Reply(item.askers, answer(first.server_msg_id, item.client_msg_id, first.send_time)).run(self)

    def on_refused(self, items: Sequence[Item], refusal: Refusal) -> bool:
        return refusal.reason == Reason.TWIN_TAKEN and self.log.move_twin(items)

    def _forget(self, send: Send) -> None:
        self._pending_count -= 1
        self._pending_sends.pop((send.send_id, send.client_msg_id), None)

    def refusal_error(self, refusal: Refusal) -> GreenroomError:
        if refusal.reason == Reason.KEY_TAKEN:
            return ArgsError("the conversation id is already taken")
        return super().refusal_error(refusal)

    def receiveMsg_MarkConversationRead(self, command: MarkConversationRead, sender: Address) -> None:
        self._mark(command, sender)

    def receiveMsg_MarkMessagesRead(self, command: MarkMessagesRead, sender: Address) -> None:
        self._mark(command, sender)

    def receiveMsg_SetReadSeq(self, command: SetReadSeq, sender: Address) -> None:
        self._mark(command, sender)

    def _mark(self, mark: Mark, sender: Address) -> None:
        if self._receipts is None:
            self._receipts = Receipts(self.world, self.log)
        receipts, asker = self._receipts, (sender, mark.ref)
        receipts.check(mark)
        known, is_member = receipts.known(mark), self.sees_all(mark.user_id)
        if known is not None and is_member:
            self.add_to_draft(*receipts.items(mark, known, asker, is_member=True))
            return

        def then(stored: Reading | None) -> None:
            self.add_to_draft(*receipts.items(mark, receipts.keep(mark, stored), asker, is_member=is_member))

        self.read(self.world.store.reading(mark.conversation_id, mark.user_id), then, mark, sender)
