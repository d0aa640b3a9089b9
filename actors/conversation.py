"""Conversation: the actor of a key of two users (or of one with himself).

Ordering rule: messages take their seqs in the order in which this actor took them; a seq is given when the
slice is made, so a refused one leaves no gap. Acked and pushed after the commit, in seq order.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from greenroom.actors.errors import (
    ArgsError,
    BlockedByPeer,
    GreenroomError,
    MailboxFull,
    NoPermission,
    NotPeersFriend,
    RecordNotFound,
    StoreUnavailable,
)
from greenroom.actors.messages import (
    Caller,
    CommitSlice,
    MarkConversationRead,
    MarkMessagesRead,
    Push,
    SendMessage,
    SetReadSeq,
)
from greenroom.actors.receipts import mark_conversation, mark_messages, raise_reading, set_read_seq
from greenroom.actors.rules import message as rules
from greenroom.actors.stored_entity import Asker, Deliver, Effect, Item, Reply, StoredEntity
from greenroom.actors.wire import msg_pb2, sdkws_pb2
from greenroom.actors.wire.splice import with_seq
from greenroom.actors.wire.vocabulary import AppLevel, ContentType, ReceiveOption, SessionType
from greenroom.persistence.store import (
    AddMessage,
    AddRecords,
    Block,
    ClaimKey,
    KeyKind,
    KeyState,
    PairFact,
    Reading,
    Reason,
    RecordOwner,
    Refusal,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom.actors.runtime.address import Address
    from greenroom.actors.world import World

__all__ = ["Conversation", "Send"]

_AHEAD_LIMIT_MS = 5000
"""How far sendTime may run ahead of the clock, when a conversation takes more than a message a millisecond or the
clock was set back; past it, times repeat."""
_READINGS_KEPT = 16
"""Of users who mark as read, once all of their marks are stored."""
_FACTS_SHARED = 4096
"""Most pairs are like others whose facts end with the same second: one object stands for all of them."""


class Send(Item):
    """One message taken: stored in one or two conversations of the key, answered, pushed."""

    __slots__ = (
        "also", "client_msg_id", "content_type", "conversation", "operation_id", "parts", "send_id", "send_time",
        "server_msg_id", "stored", "user_ids",
    )  # fmt: skip

    def __init__(
        self,
        conversation: Conversation,
        message: sdkws_pb2.MsgData,
        *,
        operation_id: str,
        user_ids: tuple[str, ...] | None,
        also: tuple[str, ...] = (),
        askers: list[Asker] | None = None,
    ) -> None:
        super().__init__(askers or ())
        self.conversation = conversation
        self.operation_id = operation_id
        self.user_ids = user_ids
        """Who hears of it; None: the entity's audience, as it is when the push leaves."""
        self.also = also
        # Not the message itself: what is held through a commit is small, and there once.
        self.send_id = message.sendID
        self.client_msg_id = message.clientMsgID
        self.server_msg_id = message.serverMsgID
        self.send_time = message.sendTime
        self.content_type = message.contentType
        self.parts = rules.split(message, conversation.id)
        self.stored = any(part.stored for part in self.parts)

    def answer(self) -> msg_pb2.SendMsgResp:
        return _answer(self.server_msg_id, self.client_msg_id, self.send_time)

    def seal(self, slice_: CommitSlice) -> None:
        conversation = self.conversation
        for part in self.parts:
            if not part.stored:
                continue
            part.seq = seq = conversation.next_seq(part.conversation_id, slice_)
            if seq == 1:
                message = sdkws_pb2.MsgData.FromString(part.body)
                slice_.writes += conversation.first_writes(part.conversation_id, message, part.is_chat)
            slice_.writes.append(
                AddMessage(
                    conversation_id=part.conversation_id,
                    seq=seq,
                    send_id=self.send_id,
                    client_msg_id=self.client_msg_id,
                    server_msg_id=self.server_msg_id,
                    send_time=self.send_time,
                    content_type=self.content_type,
                    body=part.body,
                )
            )

    def effects(self) -> Iterator[Effect]:
        yield Reply(self.askers, self.answer())
        for part in self.parts:
            body = with_seq(part.body, part.seq) if part.seq else part.body
            yield Deliver(Push(part.conversation_id, body, self.operation_id), self.user_ids, self.also)


class _Facts(msgspec.Struct, frozen=True, gc=False):
    """What the send checks know of a pair."""

    first: PairFact
    second: PairFact
    stamp: int
    until: int
    """Milliseconds on the world's clock, in whole seconds: so many are equal."""


_shared_facts = lru_cache(_FACTS_SHARED)(_Facts)


class Conversation(StoredEntity):
    """Answers SendMessage, MarkConversationRead, MarkMessagesRead, SetReadSeq.

    Order and loss: as the module says. Duplication: a repeat of (sender, clientMsgID) gets the first answer.
    """

    __slots__ = (
        "_facts", "_first_end", "_last_time", "_max_seqs", "_taken", "_unanswered", "claimed", "foreign", "readings",
    )  # fmt: skip

    KIND: KeyKind = "pair"
    KEY_PREFIX = "conversation/"

    def __init__(self, world: World, key: str) -> None:
        super().__init__(world, key)
        self.claimed = False
        """The key's kind and members are stored."""
        self.foreign = False
        """The key is stored as another kind's: nothing may happen here."""
        self._first_end = 0
        """Where in the id the first of its two users ends: as stored, or about to be by the first message taken. 0: it
        is nobody's yet. A message comes to the id that its users make, so no more of them is kept."""
        self.readings: dict[tuple[str, str], Reading] | None = None
        """By (conversation, user), of those who mark as read, if anybody does: as in the store, and with the marks that
        are under way. Own messages count once they are committed: until then their seqs may change."""
        self._max_seqs: dict[str, int] = {}
        """The newest seqs of the key's conversations, as committed."""
        self._last_time = 0
        self._taken: dict[tuple[str, str], Send] | None = None
        """Sends not yet answered, by (sender, clientMsgID)."""
        self._unanswered = 0
        self._facts: _Facts | None = None

    async def load(self) -> KeyState | None:
        return await self.world.store.key(self.id)

    def loaded(self, state: KeyState | None) -> None:
        if state is None:
            return
        self.claimed = True
        self.foreign = state.kind != self.KIND
        self._first_end = _end_of(state.members)
        self._max_seqs = {name: one.max_seq for name, one in state.conversations.items()}
        self._last_time = max((one.max_seq_time for one in state.conversations.values()), default=0)

    def max_seq(self, conversation_id: str) -> int:
        """The newest committed seq."""
        return self._max_seqs.get(conversation_id, 0)

    def last_seq(self, conversation_id: str, slice_: CommitSlice) -> int:
        """The newest seq, those of the slice in the making included."""
        return slice_.seqs.get(conversation_id) or self.max_seq(conversation_id)

    def next_seq(self, conversation_id: str, slice_: CommitSlice) -> int:
        """The next seq of the slice in the making."""
        seq = slice_.seqs[conversation_id] = self.last_seq(conversation_id, slice_) + 1
        return seq

    def first_writes(self, conversation_id: str, message: sdkws_pb2.MsgData, is_chat: bool) -> list[Block]:
        """What goes before the first message of a conversation: the key's claim, its members' records."""
        writes: list[Block] = []
        if not self.claimed:
            writes.append(ClaimKey(self.KIND, self.claim_members(message)))
        if is_chat:
            writes.append(self.records(conversation_id, message))
        return writes

    def claim_members(self, message: sdkws_pb2.MsgData) -> tuple[str, ...]:
        return _pair_of(message)

    def records(self, conversation_id: str, message: sdkws_pb2.MsgData) -> AddRecords:
        """The records that the first message of a chat makes (PROTOCOL 3.7)."""
        owners = [RecordOwner(message.recvID, message.sendID)]
        if message.sessionType == SessionType.SINGLE and message.sendID != message.recvID:
            owners.insert(0, RecordOwner(message.sendID, message.recvID))
        return AddRecords(conversation_id, message.sessionType, "", owners)

    def receiveMsg_SendMessage(self, command: SendMessage, sender: Address) -> None:
        message, caller = command.message, command.caller
        rules.check(message, caller)
        if self._answered_before(message, (sender, command.ref)):
            return
        if message.contentType == ContentType.TYPING and self.world.strain.is_high:
            self._shed(command, sender)
            return
        self.admit(command, sender)

    def _shed(self, command: SendMessage, sender: Address) -> None:
        """Answered, and not delivered."""
        message = command.message
        self.stamp(message, command.caller)
        self.world.strain.typing_shed += 1
        answer = _answer(message.serverMsgID, message.clientMsgID, message.sendTime)
        Reply([(sender, command.ref)], answer).run(self)

    def admit(self, command: SendMessage, sender: Address) -> None:
        """Check who may say what to whom, then `take` it; may wait for facts first."""
        pair = _pair_of(command.message)
        self._check_pair(pair)
        facts, stamp, now = self._facts, self.world.facts.stamp(*pair), self.world.clock.now_ms()
        # Until the key is some pair's, the facts may be another's.
        if self._first_end and facts is not None and facts.stamp == stamp and now < facts.until:
            self._admit_pair(command, sender, facts)
            return

        def then(read: dict[str, PairFact]) -> None:
            until = self.world.clock.now_ms() + int(self.world.settings.message.facts_ttl_s * 1000)
            self._check_pair(pair)
            self._facts = _shared_facts(read[pair[0]], read[pair[1]], stamp, until // 1000 * 1000)
            self._admit_pair(command, sender, self._facts)

        self.read(self.world.store.pair_facts(*pair), then, command, sender)

    def _check_pair(self, pair: tuple[str, ...]) -> None:
        if self.foreign or (self._first_end and self._first_end != _end_of(pair)):
            raise ArgsError("the conversation id belongs to others")

    def _admit_pair(self, command: SendMessage, sender: Address, facts: _Facts) -> None:
        message, caller = command.message, command.caller
        send_id, recv_id = message.sendID, message.recvID
        mine, theirs = facts.first, facts.second
        if send_id > recv_id:
            mine, theirs = theirs, mine
        if not (theirs.is_registered and mine.is_registered):
            raise RecordNotFound("sender or receiver is not registered")
        if message.sessionType == SessionType.NOTIFICATION:
            if mine.level < AppLevel.ADMIN and not caller.is_admin:
                raise NoPermission("not a notification account")
        else:
            self._check_single(message, caller, mine, theirs)
        rules.force_options(message)
        if not rules.is_notification_type(message.contentType):
            _apply_receive_options(message, theirs)
        silent = send_id == recv_id or message.options.get("senderSync") is False
        user_ids = (recv_id,) if silent else (recv_id, send_id)
        self.take(command, sender, user_ids)

    def _check_single(self, message: sdkws_pb2.MsgData, caller: Caller, mine: PairFact, theirs: PairFact) -> None:
        if self.world.is_admin(message.sendID):
            return
        if caller.is_admin and rules.is_notification_type(message.contentType):
            return
        if mine.level >= AppLevel.ADMIN:
            return
        if theirs.blocks_peer:
            raise BlockedByPeer
        if self.world.settings.message.friend_verify and not theirs.has_peer_as_friend:
            raise NotPeersFriend

    def take(self, command: SendMessage, sender: Address, user_ids: tuple[str, ...] | None) -> None:
        """The message passed its checks: give it its id and time; store it, or push it at once."""
        message = command.message
        self.stamp(message, command.caller)
        send = Send(
            self,
            message,
            operation_id=command.caller.operation_id,
            user_ids=user_ids,
            askers=[(sender, command.ref)],
        )
        if not send.stored:
            for effect in send.effects():
                effect.run(self)
            self.world.tally.sends_answered += 1
            return
        if self.is_late:
            raise StoreUnavailable("the store is slow")
        if self._unanswered >= self.world.settings.message.sends_in_flight:
            raise MailboxFull("too many sends of this conversation wait for the store")
        self._first_end = self._first_end or _end_of(self.claim_members(message))
        if message.clientMsgID:
            if self._taken is None:
                self._taken = {}
            self._taken[send.send_id, send.client_msg_id] = send
        self.decide(send)

    def decide(self, *items: Item) -> None:
        for item in items:
            if isinstance(item, Send) and item.stored:
                self._unanswered += 1
        super().decide(*items)

    def stamp(self, message: sdkws_pb2.MsgData, caller: Caller) -> None:
        """serverMsgID, and a sendTime of its own that never goes back: clients sort and page by it, and two of one
        millisecond would stand in another order on each device, or fall between two pages."""
        now = self.world.clock.now_ms()
        asked = message.sendTime if caller.is_admin and message.sendTime else now
        apart = min(self._last_time + 1, now + _AHEAD_LIMIT_MS)
        self._last_time = max(self._last_time, apart, min(asked, now))
        message.sendTime = self._last_time
        message.serverMsgID = self.world.new_id()

    def _answered_before(self, message: sdkws_pb2.MsgData, asker: Asker) -> bool:
        """A repeat of a send that waits for the store waits with it."""
        send = self._taken.get((message.sendID, message.clientMsgID)) if self._taken is not None else None
        if send is None:
            return False
        send.askers.append(asker)
        return True

    def repeated(self, item: Item, refusal: Refusal) -> None:
        if not isinstance(item, Send) or refusal.first is None:
            super().repeated(item, refusal)
            return
        self._forget(item)
        first = refusal.first
        Reply(item.askers, _answer(first.server_msg_id, item.client_msg_id, first.send_time)).run(self)

    def committed(self, slice_: CommitSlice) -> None:
        self.claimed = True
        self._max_seqs.update(slice_.seqs)
        for item in slice_.items:
            if isinstance(item, Send) and item.stored:
                self._forget(item)
                self.world.tally.sends_answered += 1
                if self.readings:
                    for part in item.parts:
                        raise_reading(self, part.conversation_id, item.send_id, part.seq)
        if self.readings is not None and self.is_settled and len(self.readings) > _READINGS_KEPT:
            self.readings = None  # All of it is in the store by now.

    def _forget(self, send: Send) -> None:
        self._unanswered -= 1
        if self._taken is not None:
            self._taken.pop((send.send_id, send.client_msg_id), None)
            self._taken = self._taken or None

    def refused(self, refusal: Refusal) -> GreenroomError:
        if refusal.reason == Reason.KEY_TAKEN:
            return ArgsError("the conversation id belongs to others")
        return super().refused(refusal)

    def receiveMsg_MarkConversationRead(self, command: MarkConversationRead, sender: Address) -> None:
        mark_conversation(self, command, sender)

    def receiveMsg_MarkMessagesRead(self, command: MarkMessagesRead, sender: Address) -> None:
        mark_messages(self, command, sender)

    def receiveMsg_SetReadSeq(self, command: SetReadSeq, sender: Address) -> None:
        set_read_seq(self, command, sender)


def _answer(server_msg_id: str, client_msg_id: str, send_time: int) -> msg_pb2.SendMsgResp:
    return msg_pb2.SendMsgResp(serverMsgID=server_msg_id, clientMsgID=client_msg_id, sendTime=send_time)


def _pair_of(message: sdkws_pb2.MsgData) -> tuple[str, str]:
    first, second = message.sendID, message.recvID
    return (first, second) if first <= second else (second, first)


def _end_of(pair: tuple[str, ...]) -> int:
    return len(pair[0]) if pair else 0


def _apply_receive_options(message: sdkws_pb2.MsgData, theirs: PairFact) -> None:
    """PROTOCOL 3.5 g."""
    option = theirs.global_recv_msg_opt
    if option == ReceiveOption.RECEIVE:
        option = theirs.recv_msg_opt
    if option == ReceiveOption.DO_NOT_RECEIVE:
        raise ArgsError("message is not sent")
    if option == ReceiveOption.NO_OFFLINE_PUSH:
        message.options["offlinePush"] = False
