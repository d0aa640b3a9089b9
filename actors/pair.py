"""Pair: the Conversation of two users, or of one user with themselves. It checks that they may write to each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from greenroom.actors.conversation import Conversation
from greenroom.actors.errors import ArgsError, BlockedByPeer, NoPermission, NotPeersFriend, RecordNotFound
from greenroom.actors.rules import message as rules
from greenroom.actors.wire.vocabulary import AppLevel, ReceiveOption, SessionType
from greenroom.persistence.store import AddRecords, KeyState, PairFact, RecordOwner

if TYPE_CHECKING:
    from greenroom.actors.messages import Caller, SendMessage
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.wire import sdkws_pb2
    from greenroom.actors.world import World

__all__ = ["Pair"]


class _Facts(msgspec.Struct, frozen=True):
    """The facts about a pair that the send checks need."""

    first: PairFact
    second: PairFact
    stamp: int
    expire_at: int
    """Milliseconds on the world's clock."""


class Pair(Conversation["KeyState | None"]):
    """Answers the same commands as Conversation. Its address is `Address("conversation", key)`."""

    KIND = "pair"
    KEY_PREFIX = "conversation/"

    def __init__(self, world: World, key: str) -> None:
        super().__init__(world, key)
        self._members: tuple[str, ...] = ()
        """The user ids, as stored or as the first accepted message claims them. Empty: the key is not claimed yet."""
        self._facts: _Facts | None = None

    async def load(self) -> KeyState | None:
        return await self.load_key()

    def on_loaded(self, state: KeyState | None) -> None:
        self.on_key_loaded(state)
        if state is not None:
            self._members = state.members

    def claim_members(self, message: sdkws_pb2.MsgData) -> tuple[str, ...]:
        return _pair_of(message)

    def records(self, conversation_id: str, message: sdkws_pb2.MsgData) -> AddRecords:
        owners = [RecordOwner(message.recvID, message.sendID)]
        if message.sessionType == SessionType.SINGLE and message.sendID != message.recvID:
            owners.insert(0, RecordOwner(message.sendID, message.recvID))
        return AddRecords(conversation_id, message.sessionType, "", owners)

    def admit(self, command: SendMessage, sender: Address) -> None:
        pair = _pair_of(command.message)
        self._check_members(pair)
        facts, stamp, now = self._facts, self.world.facts.stamp(*pair), self.world.clock.now_ms()
        # Until a pair has claimed the key, the facts may be those of another pair.
        if self._members and facts is not None and facts.stamp == stamp and now < facts.expire_at:
            self._admit(command, sender, facts)
            return

        def then(read: dict[str, PairFact]) -> None:
            expire_at = self.world.clock.now_ms() + int(self.world.settings.message.facts_ttl_s * 1000)
            self._check_members(pair)
            self._facts = _Facts(read[pair[0]], read[pair[1]], stamp, expire_at)
            self._admit(command, sender, self._facts)

        self.read(self.world.store.pair_facts(*pair), then, command, sender)

    def _check_members(self, pair: tuple[str, ...]) -> None:
        if self._members and self._members != pair:
            raise ArgsError("the conversation id is already taken")

    def _admit(self, command: SendMessage, sender: Address, facts: _Facts) -> None:
        message, caller = command.message, command.caller
        send_id, recv_id = message.sendID, message.recvID
        mine, theirs = facts.first, facts.second
        if send_id > recv_id:
            mine, theirs = theirs, mine
        if not (theirs.is_registered and mine.is_registered):
            raise RecordNotFound("sender or receiver is not registered")
        if rules.is_notification_type(message.contentType) and mine.level < AppLevel.ADMIN and not caller.is_admin:
            raise NoPermission("only admins may send notifications")
        if message.sessionType != SessionType.NOTIFICATION:
            self._check_single(message, caller, mine, theirs)
        rules.force_options(message)
        if not rules.is_notification_type(message.contentType):
            _apply_receive_options(message, theirs)
        skip_sender = send_id == recv_id or message.options.get("senderSync") is False
        user_ids = (recv_id,) if skip_sender else (recv_id, send_id)
        if self.accept(command, sender, user_ids):
            self._members = _pair_of(message)

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


def _pair_of(message: sdkws_pb2.MsgData) -> tuple[str, str]:
    first, second = message.sendID, message.recvID
    return (first, second) if first <= second else (second, first)


def _apply_receive_options(message: sdkws_pb2.MsgData, theirs: PairFact) -> None:
    """Apply the receiver's receive options: refuse the message, or turn its offline push off (PROTOCOL 3.5 g)."""
    option = theirs.global_recv_msg_opt
    if option == ReceiveOption.RECEIVE:
        option = theirs.recv_msg_opt
    if option == ReceiveOption.DO_NOT_RECEIVE:
        raise ArgsError("message is not sent")
    if option == ReceiveOption.NO_OFFLINE_PUSH:
        message.options["offlinePush"] = False
