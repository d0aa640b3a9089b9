"""Conversation: what the entity of any key does, be it two users' or a group's. It is a log that messages are added to.

Ordering rule: messages take their seqs in the order in which this actor took them; a seq is given when the
slice is made, so a refused one leaves no gap. Acked and pushed after the commit, in seq order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from greenroom.actors.effects import Asker, Reply
from greenroom.actors.errors import ArgsError, GreenroomError, MailboxFull, StoreFailed
from greenroom.actors.log import Log, Send, answer
from greenroom.actors.receipts import Mark, Receipts
from greenroom.actors.rules import message as rules
from greenroom.actors.stored_entity import StoredEntity
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import ContentType
from greenroom.persistence.store import (
    AddMessage,
    AddRecords,
    Block,
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


class Conversation(StoredEntity):
    """Answers SendMessage, MarkConversationRead, MarkMessagesRead, SetReadSeq. Subclasses say who may speak, and whose
    the key is.

    Order and loss: as the module says. Duplication: a repeat of (sender, clientMsgID) gets the first answer.
    """

    KIND: ClassVar[KeyKind]

    def __init__(self, world: World, key: str) -> None:
        super().__init__(world, key)
        self.log = Log(world, key)
        self.claimed = False
        """The key's kind and members are stored."""
        self.foreign = False
        """The key is stored as another kind's: nothing may happen here."""
        self._receipts: Receipts | None = None
        """There is one once somebody marks."""
        self._taken: dict[tuple[str, str], Send] = {}
        """Sends not yet answered, by (sender, clientMsgID)."""
        self._unanswered = 0

    def admit(self, command: SendMessage, sender: Address) -> None:
        """Check who may say what to whom, then `take` it; may wait for a read first."""
        raise NotImplementedError

    def claim_members(self, message: sdkws_pb2.MsgData) -> tuple[str, ...]:
        """Whose the key is, from its first message on."""
        raise NotImplementedError

    def records(self, conversation_id: str, message: sdkws_pb2.MsgData) -> AddRecords:
        """The records that the first message of a chat makes (PROTOCOL 3.7)."""
        raise NotImplementedError

    async def load(self) -> KeyState | None:
        return await self.world.store.key(self.id)

    def loaded(self, state: KeyState | None) -> None:
        if state is None:
            return
        self.claimed = True
        self.foreign = state.kind != self.KIND
        self.log.loaded(state)

    def receiveMsg_SendMessage(self, command: SendMessage, sender: Address) -> None:
        message, caller = command.message, command.caller
        rules.check(message, caller)
        if self._answered_before(message, (sender, command.ref)):
            return
        if message.contentType == ContentType.TYPING and self.world.health.is_overloaded:
            self._shed(command, sender)
            return
        self.admit(command, sender)

    def _answered_before(self, message: sdkws_pb2.MsgData, asker: Asker) -> bool:
        """A repeat of a send that waits for the store waits with it."""
        send = self._taken.get((message.sendID, message.clientMsgID))
        if send is None:
            return False
        send.askers.append(asker)
        return True

    def _shed(self, command: SendMessage, sender: Address) -> None:
        """Answered, and not delivered."""
        message = command.message
        self.log.stamp(message, command.caller)
        self.world.health.typing_shed += 1
        value = answer(message.serverMsgID, message.clientMsgID, message.sendTime)
        Reply([(sender, command.ref)], value).run(self)

    def take(self, command: SendMessage, sender: Address, user_ids: tuple[str, ...] | None) -> bool:
        """The message passed its checks: store it, or push it at once. `user_ids` hear of it; None: the audience.
        Answers whether it will be stored."""
        send = self.log.send(command.message, command.caller, user_ids=user_ids, askers=[(sender, command.ref)])
        if not send.stored:
            for effect in send.effects():
                effect.run(self)
            self.world.health.sends_answered += 1
            return False
        if self.is_late:
            raise StoreFailed("the store is slow")
        if self._unanswered >= self.world.settings.message.sends_in_flight:
            raise MailboxFull("too many sends of this conversation wait for the store")
        if send.client_msg_id:
            self._taken[send.send_id, send.client_msg_id] = send
        self.decide(send)
        return True

    def decide(self, *items: Item) -> None:
        for item in items:
            if isinstance(item, Send) and item.stored:
                self._unanswered += 1
        super().decide(*items)

    def seal(self, item: Item, seqs: dict[str, int]) -> Iterable[Block]:
        return self._add(item, seqs) if isinstance(item, Send) else super().seal(item, seqs)

    def _add(self, send: Send, seqs: dict[str, int]) -> list[Block]:
        """The next seqs for a message, and the writes that store it."""
        writes: list[Block] = []
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
        """The newest seq, those included that the slice in the making has given."""
        return seqs.get(conversation_id) or self.log.newest(conversation_id)

    def _first_writes(self, conversation_id: str, message: sdkws_pb2.MsgData, is_chat: bool) -> list[Block]:
        """What goes before the first message of a conversation: the key's claim, its members' records."""
        writes: list[Block] = []
        if not self.claimed:
            writes.append(ClaimKey(self.KIND, self.claim_members(message)))
        if is_chat:
            writes.append(self.records(conversation_id, message))
        return writes

    def committed(self, items: Sequence[Item]) -> None:
        self.claimed = True
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

    def repeated(self, item: Item, refusal: Refusal) -> None:
        if not isinstance(item, Send) or refusal.first is None:
            super().repeated(item, refusal)
            return
        self._forget(item)
        first = refusal.first
        Reply(item.askers, answer(first.server_msg_id, item.client_msg_id, first.send_time)).run(self)

    def _forget(self, send: Send) -> None:
        self._unanswered -= 1
        self._taken.pop((send.send_id, send.client_msg_id), None)

    def refused(self, refusal: Refusal) -> GreenroomError:
        if refusal.reason == Reason.KEY_TAKEN:
            return ArgsError("the conversation id belongs to others")
        return super().refused(refusal)

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
        known = receipts.known(mark)
        if known is not None:
            self.decide(*receipts.items(mark, known, asker))
            return

        def then(stored: Reading | None) -> None:
            self.decide(*receipts.items(mark, receipts.keep(mark, stored), asker))

        self.read(self.world.store.reading(mark.conversation_id, mark.user_id), then, mark, sender)
