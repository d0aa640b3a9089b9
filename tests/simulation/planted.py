"""Bugs that a block plants in the engine's own classes. The simulation must find them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

import msgspec
from msgspec.structs import replace

from greenroom.actors.conversation import Conversation
from greenroom.actors.effects import Deliver, Reply
from greenroom.actors.feed import EVENTS_PER_READ, Feed
from greenroom.actors.group.group import Group
from greenroom.actors.items import Change
from greenroom.actors.lane import Lane
from greenroom.actors.log import Log, Send
from greenroom.actors.pair import Pair
from greenroom.actors.stored_entity import StoredEntity
from greenroom.actors.user import User
from greenroom.persistence.refusal import Refusal, WriteRefused
from greenroom.persistence.sqlite.applier import Applier
from greenroom.persistence.sqlite.row_numbers import RowNumbers
from greenroom.persistence.sqlite.writer import Writer
from greenroom.persistence.store import AddMessage, RaiseReadSeq, Reason, key_of_slice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from greenroom.actors.effects import Effect
    from greenroom.actors.items import Item
    from greenroom.actors.messages import Caller
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.slices import CommitSlice, SliceRefused, SliceStored
    from greenroom.actors.stored_entity import _Draft
    from greenroom.actors.wire.sdkws_pb2 import MsgData
    from greenroom.persistence.store import AnyWrite, ClaimKey, Slice

__all__ = ["BUGS", "Bug", "planted"]

Patches = list[tuple[Any, str, "Callable[..., Any]"]]


class Bug(NamedTuple):
    kind: str
    """The violation that shows the bug, perhaps among others."""
    seed: int
    """The first seed that finds the bug."""
    plant: Callable[[], Patches]
    """Class, name of a method, and its replacement."""


def _acks_before_the_commit() -> Patches:
    real = StoredEntity._commit

    def commit(self: StoredEntity[Any], draft: _Draft) -> None:
        real(self, draft)
        for effect in _effects_of(self._in_flight):
            if isinstance(effect, Reply):
                effect.run(self)

    return [(StoredEntity, "_commit", commit)]


def _pushes_before_the_commit() -> Patches:
    real = StoredEntity._commit

    def commit(self: StoredEntity[Any], draft: _Draft) -> None:
        real(self, draft)
        for effect in _effects_of(self._in_flight):
            if isinstance(effect, Deliver):
                effect.run(self)

    return [(StoredEntity, "_commit", commit)]


def _effects_of(slice_: CommitSlice | None) -> list[Effect]:
    return [effect for item in slice_.items for effect in item.effects()] if slice_ else []


def _forgets_repeats_after_a_restart() -> Patches:
    real = Writer.commit

    def anonymous(write: AnyWrite) -> AnyWrite:
        return replace(write, client_msg_id="") if isinstance(write, AddMessage) else write

    def commit(self: Writer, slices: Sequence[Slice]) -> list[Refusal | None]:
        if self._epoch > 1:
            slices = [replace(one, writes=[anonymous(write) for write in one.writes]) for one in slices]
        return real(self, slices)

    return [(Writer, "commit", commit)]


def _leaves_a_gap_after_a_refused_slice() -> Patches:
    """The seqs of the slice are not assigned again, and the writer accepts the gap."""
    real_refused, real_add = StoredEntity.receiveMsg_SliceRefused, Applier._add_message

    def refused(self: StoredEntity[Any], message: SliceRefused, sender: Address) -> None:
        parts = [part for item in message.items if isinstance(item, Send) for part in item.parts if part.stored]
        real_refused(self, message, sender)
        if self._draft is not None and isinstance(self, Conversation):
            for part in parts:
                self.log._newest[part.conversation_id] = part.seq

    def add(self: Applier, write: AddMessage) -> None:
        number, _ = self._numbers.conversation(write.conversation_id)
        self._numbers.conversations[write.conversation_id] = (number, write.seq - 1)
        real_add(self, write)

    return [(StoredEntity, "receiveMsg_SliceRefused", refused), (Applier, "_add_message", add)]


def _pushes_with_the_seq_of_a_refused_slice() -> Patches:
    real_add, real_effects = Conversation._add, Send.effects
    first: dict[int, tuple[Send, list[int]]] = {}

    def add(self: Conversation[Any], send: Send, seqs: dict[str, int]) -> list[AnyWrite]:
        writes = real_add(self, send, seqs)
        first.setdefault(id(send), (send, [part.seq for part in send.parts]))
        return writes

    def effects(self: Send) -> Iterator[Effect]:
        _, seqs = first.get(id(self), (self, []))
        for part, seq in zip(self.parts, seqs, strict=False):
            part.seq = seq
        return real_effects(self)

    return [(Conversation, "_add", add), (Send, "effects", effects)]


def _runs_inherited_effects_twice() -> Patches:
    real = StoredEntity.receiveMsg_SliceStored

    def stored(self: StoredEntity[Any], message: SliceStored, sender: Address) -> None:
        real(self, message, sender)
        if not self._is_loaded:
            self._pending_items.extend(message.items)

    return [(StoredEntity, "receiveMsg_SliceStored", stored)]


def _loses_inherited_effects() -> Patches:
    real = StoredEntity.receiveMsg_SliceStored

    def stored(self: StoredEntity[Any], message: SliceStored, sender: Address) -> None:
        if self._is_loaded:
            real(self, message, sender)

    return [(StoredEntity, "receiveMsg_SliceStored", stored)]


def _leaves_nothing_to_the_next_life() -> Patches:
    return [(StoredEntity, "pending_effects", lambda self: None)]


def _swaps_two_pushes_of_a_slice() -> Patches:
    real = StoredEntity._add_pending

    def add_pending(self: StoredEntity[Any], number: int, items: Iterable[Item]) -> None:
        effects = [effect for item in items for effect in item.effects()]
        pushes = [place for place, effect in enumerate(effects) if isinstance(effect, Deliver)]
        if len(pushes) > 1:
            one, other = pushes[:2]
            effects[one], effects[other] = effects[other], effects[one]
        real(self, number, [Change(effects=effects)])

    return [(StoredEntity, "_add_pending", add_pending)]


def _lets_kicked_members_hear() -> Patches:
    return [(Group, "leave", lambda self, user_ids: None)]


def _takes_send_times_from_the_clock() -> Patches:
    def stamp(self: Log, message: MsgData, caller: Caller) -> None:
        message.sendTime = self.world.clock.now_ms()
        message.serverMsgID = self.world.new_id()

    return [(Log, "stamp", stamp)]


def _acks_a_resend_with_another_id() -> Patches:
    real = Conversation.on_repeated

    def on_repeated(self: Conversation[Any], item: Item, refusal: Refusal) -> None:
        assert isinstance(item, Send)
        Reply(item.askers, item.answer()).run(self)
        real(self, item, refusal)

    return [(Conversation, "on_repeated", on_repeated)]


def _mixes_up_the_outcomes_of_a_batch() -> Patches:
    real = Lane._answer
    return [(Lane, "_answer", lambda self, outcomes: real(self, outcomes[::-1]))]


def _remembers_names_that_were_rolled_back() -> Patches:
    return [(RowNumbers, "undo", lambda self, mark: None)]


def _does_not_hear_who_comes_online() -> Patches:
    return [(Group, "receiveMsg_MemberOnline", lambda self, message, sender: None)]


def _lets_read_seqs_go_back() -> Patches:
    def lower(self: Applier, write: RaiseReadSeq) -> None:
        key = self._numbers.user(write.user_id), self._numbers.conversation(write.conversation_id)[0]
        self._connection.execute("INSERT OR REPLACE INTO read VALUES (?, ?, ?)", (*key, write.seq))

    return [(Applier, "_raise_read_seq", lower)]


def _forgets_what_writes_nothing() -> Patches:
    """A real bug, which the simulation found."""
    real = StoredEntity.receiveMsg_SliceRefused

    def refused(self: StoredEntity[Any], message: SliceRefused, sender: Address) -> None:
        slice_ = self._in_flight
        if slice_ is not None:
            pairs = zip(slice_.items, slice_.starts, strict=True)
            kept = [(item, start) for item, start in pairs if isinstance(item, Send) or item.writes]
            items, starts = zip(*kept, strict=True)
            self._in_flight = msgspec.structs.replace(slice_, items=items, starts=starts)
        real(self, message, sender)

    return [(StoredEntity, "receiveMsg_SliceRefused", refused)]


def _moves_a_cursor_past_what_was_not_taken() -> Patches:
    real = Feed._follow

    async def follow(self: Feed) -> None:
        before = self._cursor
        try:
            await real(self)
        except Exception:
            if before is not None:
                self._cursor = (await self._store.tail(before, EVENTS_PER_READ)).cursor
            raise

    return [(Feed, "_follow", follow)]


def _lets_a_group_take_the_key_of_a_pair() -> Patches:
    """A real bug: a group in the name of a pair silenced it."""
    real = Applier._claim_key

    def claim(self: Applier, write: ClaimKey) -> None:
        asked = "SELECT 1 FROM key WHERE name = ? AND kind <> ?"
        if self._connection.execute(asked, (key_of_slice(self._key)[1], write.kind)).fetchone() is not None:
            raise WriteRefused(Refusal(Reason.KEY_TAKEN))
        real(self, write)

    return [(Applier, "_claim_key", claim)]


BUGS = {
    "acks before the commit": Bug("acked_before_commit", 0, _acks_before_the_commit),
    "pushes before the commit": Bug("pushed_before_commit", 0, _pushes_before_the_commit),
    "forgets repeats after a restart": Bug("stored_twice", 6, _forgets_repeats_after_a_restart),
    "leaves a gap after a refused slice": Bug("seq_gap", 0, _leaves_a_gap_after_a_refused_slice),
    "pushes with the seq of a refused slice": Bug("pushed_before_commit", 0, _pushes_with_the_seq_of_a_refused_slice),
    "runs inherited effects twice": Bug("pushed_again", 1, _runs_inherited_effects_twice),
    "loses inherited effects": Bug("never_answered", 15, _loses_inherited_effects),
    "leaves nothing to the next life": Bug("never_answered", 314, _leaves_nothing_to_the_next_life),
    "swaps two pushes of a slice": Bug("pushed_back", 0, _swaps_two_pushes_of_a_slice),
    "lets kicked members hear": Bug("received_outside_membership", 0, _lets_kicked_members_hear),
    "takes sendTime from the clock": Bug("time_back", 3, _takes_send_times_from_the_clock),
    "acks a resend with another id": Bug("ack_differs", 0, _acks_a_resend_with_another_id),
    "mixes up the outcomes of a batch": Bug("acked_not_stored", 1, _mixes_up_the_outcomes_of_a_batch),
    "remembers names that were rolled back": Bug("does_not_heal", 0, _remembers_names_that_were_rolled_back),
    "does not hear who comes online": Bug("lost", 1, _does_not_hear_who_comes_online),
    "lets read seqs go back": Bug("read_wrong", 85, _lets_read_seqs_go_back),
    "moves a cursor past what was not taken": Bug("subscriber", 0, _moves_a_cursor_past_what_was_not_taken),
    "forgets what writes nothing": Bug("received_outside_membership", 1, _forgets_what_writes_nothing),
    "lets a group take the key of a pair": Bug("silenced", 0, _lets_a_group_take_the_key_of_a_pair),
}


@contextmanager
def planted(name: str) -> Iterator[None]:
    """While it lasts, the engine has this bug; no bug if the name is empty."""
    with ExitStack() as stack:
        for owner, method, instead in BUGS[name].plant() if name else ():
            stack.enter_context(patch.object(owner, method, instead))
        _forget_handlers()
        yield
    _forget_handlers()


def _forget_handlers() -> None:
    """Entity classes remember their handlers by message."""
    for entity in (User, Pair, Group, Lane):
        entity._handlers.clear()
