"""Pair: the Conversation of two users, or of one with themselves: who they are, and what they know of each other."""

from __future__ import annotations

from functools import lru_cache
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

_FACTS_SHARED = 4096
"""Most pairs are like others whose facts end with the same second: one object stands for all of them."""


class _Facts(msgspec.Struct, frozen=True, gc=False):
    """What the send checks know of a pair."""

    first: PairFact
    second: PairFact
    stamp: int
    until: int
    """Milliseconds on the world's clock, in whole seconds: so many are equal."""


_shared_facts = lru_cache(_FACTS_SHARED)(_Facts)


class Pair(Conversation):
    """Answers what Conversation answers. Lives at `Address("conversation", key)`."""

    KIND = "pair"
    KEY_PREFIX = "conversation/"

    def __init__(self, world: World, key: str) -> None:
        super().__init__(world, key)
        self._members: tuple[str, ...] = ()
        """As stored, or about to be by the first message taken; empty: no pair has claimed the key yet."""
        self._facts: _Facts | None = None

    def loaded(self, state: KeyState | None) -> None:
        super().loaded(state)
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
        # Until the key is some pair's, the facts may be another's.
        if self._members and facts is not None and facts.stamp == stamp and now < facts.until:
            self._admit(command, sender, facts)
            return

        def then(read: dict[str, PairFact]) -> None:
            until = self.world.clock.now_ms() + int(self.world.settings.message.facts_ttl_s * 1000)
            self._check_members(pair)
            self._facts = _shared_facts(read[pair[0]], read[pair[1]], stamp, until // 1000 * 1000)
            self._admit(command, sender, self._facts)

        self.read(self.world.store.pair_facts(*pair), then, command, sender)

    def _check_members(self, pair: tuple[str, ...]) -> None:
        if self.foreign or (self._members and self._members != pair):
            raise ArgsError("the conversation id belongs to others")

    def _admit(self, command: SendMessage, sender: Address, facts: _Facts) -> None:
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
        if self.take(command, sender, user_ids):
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
    """PROTOCOL 3.5 g."""
    option = theirs.global_recv_msg_opt
    if option == ReceiveOption.RECEIVE:
        option = theirs.recv_msg_opt
    if option == ReceiveOption.DO_NOT_RECEIVE:
        raise ArgsError("message is not sent")
    if option == ReceiveOption.NO_OFFLINE_PUSH:
        message.options["offlinePush"] = False
