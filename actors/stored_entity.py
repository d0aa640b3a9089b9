"""An entity whose state is in the store. It changes its state by slices, which its lane commits one at a time.

Ordering rule: the decisions of a turn are added to the draft. The draft becomes the next slice once no slice is in
flight. The slice's effects (answers, pushes) run after its commit, in the order of the draft. So nothing is
acknowledged before it is stored.

When an incarnation ends, some effects of stored items may not have run yet. They are passed on in one message, which
the next incarnation gets first. A slice in flight needs no such care: the lane answers it to the incarnation that
exists by then.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, NoReturn, TypeVar

from thespian.actors import WakeupMessage

from greenroom.actors.errors import ActorCrashed, GreenroomError, StoreFailed, as_refusal
from greenroom.actors.items import Change
from greenroom.actors.messages import Command, DropMembers, ProfileChanged, Push
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Failed, Piped
from greenroom.actors.slices import (
    AwaitWrites,
    CommitSlice,
    PendingEffects,
    SliceLate,
    SliceOutcome,
    SliceRefused,
    SliceStored,
    WritesDone,
    weight_of,
)
from greenroom.persistence.errors import StoreError
from greenroom.persistence.store import Reason, Refusal, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from greenroom.actors.effects import Asker, Effect
    from greenroom.actors.items import Item
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.world import World
    from greenroom.persistence.store import AnyWrite

__all__ = ["StoredEntity", "UnexpectedRepeat"]

log = logging.getLogger("greenroom.actors")

_HANDLED_IN_A_HOLD = (WritesDone, SliceStored, SliceLate, SliceRefused, PendingEffects)
"""Messages that are not stashed during a hold."""

_LOAD_RETRY_S: Final = 0.5
"""Seconds until the next attempt to load, after the store could not be read."""

_NO_EFFECTS: Final[Iterator[Effect]] = iter(())

T = TypeVar("T")
StateT = TypeVar("StateT")
"""The type of an entity's stored state."""


class UnexpectedRepeat(Exception):
    """The store says that an item is already stored, but it cannot have been sent twice. So the state of this
    incarnation is wrong."""


class _Draft:
    """Decisions that are not yet part of a slice."""

    def __init__(self, decided_at: float, epoch: int, items: Iterable[Item] = ()) -> None:
        self.decided_at = decided_at
        """When the first item was decided, on the loop's clock."""
        self.epoch = epoch
        """The store's epoch at that time."""
        self.items = list(items)


class StoredEntity(Entity, Generic[StateT]):
    """Subclasses implement `load` and `on_loaded`, add items with `add_to_draft`, and may override `refusal_error`.

    A GreenroomError raised by a handler is the sender's answer. Any other exception ends this incarnation; the next
    one runs the effects of a slice that was in flight.
    """

    KEY_PREFIX: ClassVar[str]
    """Prefix of the key of its slices."""

    def __init__(self, world: World, entity_id: str) -> None:
        super().__init__()
        self.world = world
        self.id = entity_id
        self._lane = world.lane_of(self.key)
        self._incarnation = 0
        """Number of this incarnation. The base gives out each number once."""
        self._is_loading = False
        self._is_loaded = False
        self._draft: _Draft | None = None
        self._in_flight: CommitSlice | None = None
        self._is_late = False
        """Whether the senders of the slice in flight were already told that the store is slow."""
        self._read_asker: Asker | None = None
        """The asker whose command waits for a read."""
        self._last_outcome = 0
        """Number of the last outcome whose items were added to `_pending_items`."""
        self._pending_items: list[Item] = []
        """Stored items, of this incarnation or of former ones, whose effects have not run yet."""
        self._effects = _NO_EFFECTS
        """The remaining effects of the item before `_pending_items`."""

    @property
    def key(self) -> str:
        """The key of its slices."""
        return f"{self.KEY_PREFIX}{self.id}"

    def on_start(self) -> None:
        self.hold(*_HANDLED_IN_A_HOLD, WakeupMessage)
        self._incarnation = self.runtime.next_number()
        self.send(self._lane, AwaitWrites(self.myAddress, self._incarnation))

    async def load(self) -> StateT:
        """Read the state from the store. The result is passed to `on_loaded`."""
        raise NotImplementedError

    async def _take_and_load(self) -> StateT:
        await self.world.store.take(self.key)
        return await self.load()

    def on_loaded(self, state: StateT) -> None:
        """Initialize this incarnation from the state. Requests are handled only after this."""

    def deliver(self, push: Push, user_ids: tuple[str, ...] | None, also: tuple[str, ...]) -> None:
        """See `Host`. Without an audience, None means that only `also` get the push."""
        users = user_ids or ()
        self.world.sessions.push(push, (*users, *also) if also else users)

    def join(self, user_ids: Iterable[str]) -> None:
        """See `Host`. Only an entity with an audience has it."""
        raise NotImplementedError

    def leave(self, user_ids: Iterable[str]) -> None:
        """See `Host`. Only an entity with an audience has it."""
        raise NotImplementedError

    def seal(self, item: Item, seqs: dict[str, int]) -> Iterable[AnyWrite]:
        """Return the writes of an item. Called again each time the item becomes part of a slice. `seqs` are the newest
        seqs that this slice has assigned so far, by conversation."""
        return item.writes

    def on_committed(self, items: Sequence[Item]) -> None:
        """Called when a slice of this incarnation has been stored, before its effects run."""

    def refusal_error(self, refusal: Refusal) -> GreenroomError:
        """The error that the senders of a refused slice get."""
        return StoreFailed(refusal.reason)

    def on_refused(self, items: Sequence[Item], refusal: Refusal) -> bool:
        """Called when a slice was refused, with its items and those of the draft. Returns whether they may be sealed
        again, because the entity has removed the reason. Otherwise the incarnation ends."""
        return False

    def on_repeated(self, item: Item, refusal: Refusal) -> None:
        """Called when an item of the slice is already stored, before the slice is made again without it."""
        raise UnexpectedRepeat(refusal.reason)

    def add_to_draft(self, *items: Item) -> None:
        """Add items to the draft. It becomes a slice when this turn ends and no slice is in flight."""
        if self._draft is None:
            self._draft = _Draft(self.runtime.now, self.world.store.epoch)
        self._draft.items.extend(items)

    @property
    def is_late(self) -> bool:
        """Whether the slice in flight is overdue."""
        return self._in_flight is not None and self._is_late

    @property
    def is_settled(self) -> bool:
        """Whether there are no decisions beyond the slice that is in flight, or was just committed."""
        return self._draft is None

    def read(
        self,
        reading: Coroutine[Any, Any, T],
        then: Callable[[T], None],
        command: Command | DropMembers | ProfileChanged,
        sender: Address,
    ) -> None:
        """Await a read while other messages are stashed, then call `then(result)`. An error is the sender's answer."""
        self.hold(*_HANDLED_IN_A_HOLD)
        self._read_asker = (sender, command.ref)
        self.pipe(reading, tag=(then, command, sender))

    def may_sleep(self) -> bool:
        return self._in_flight is None and self._draft is None

    def on_turn_end(self) -> None:
        if self._draft is not None and self._in_flight is None:
            self._commit(self._draft)

    def _commit(self, draft: _Draft) -> None:
        """Seal the draft into a slice and send it to the lane."""
        writes: list[AnyWrite] = []
        starts: list[int] = []
        seqs: dict[str, int] = {}
        for item in draft.items:
            starts.append(len(writes))
            writes += self.seal(item, seqs)
        self._draft = None  # Not earlier: if sealing fails, the senders of all items get an error.
        number, items = self.runtime.next_number(), tuple(draft.items)
        if not writes:
            self._add_pending(number, items)
            self._run_effects()
            return
        slice_ = Slice(self.key, draft.epoch, writes)
        self._in_flight = CommitSlice(
            self.myAddress, number, draft.decided_at, slice_, items, tuple(starts), weight_of(writes)
        )
        self._is_late = False
        self.send(self._lane, self._in_flight)

    def _is_in_flight(self, outcome: SliceOutcome) -> bool:
        """Whether this is the outcome of a slice of this incarnation, not of a former one."""
        return self._in_flight is not None and self._in_flight.number == outcome.number

    # Loading.

    def receiveMsg_WritesDone(self, message: WritesDone, sender: Address) -> None:
        if message.incarnation != self._incarnation:
            return
        if self._in_flight is not None:
            # The lane answers a slice before it sends WritesDone. So it crashed before it had noted this one.
            self._end_unstored(self._in_flight, Refusal(Reason.FAILED, "the lane crashed"))
        if not self._is_loaded and not self._is_loading:
            self._is_loading = True
            self.pipe(self._take_and_load(), tag=None)

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        """The lane has crashed on a message of this entity, or after it. Find out whether it noted the slice."""
        if sender == self._lane and (self._in_flight is not None or not self._is_loaded):
            self.send(self._lane, AwaitWrites(self.myAddress, self._incarnation))

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        self.pipe(self._take_and_load(), tag=None)

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        if message.tag is None:
            self._take_state(message)
        else:
            self._take_read(message)

    def _take_state(self, message: Piped) -> None:
        if isinstance(message.error, StoreError):
            # This is no crash, which could lead to quarantine. Pending effects of former incarnations are kept.
            times = self.runtime.sampler.take("load")
            if times:
                log.error(
                    "%s cannot be loaded: the store cannot be read (%d such since the last line)",
                    self.myAddress, times,
                )  # fmt: skip
            self.refuse_stashed(Command, as_refusal(message.error))
            self.wakeupAfter(_LOAD_RETRY_S)
            return
        if message.error is not None:
            raise message.error
        self.on_loaded(message.value)
        self._is_loaded = True
        self._run_effects()
        self.release()

    def _take_read(self, message: Piped) -> None:
        then, command, asker = message.tag
        self._read_asker = None
        self.release()
        try:
            if message.error is not None:
                raise message.error
            then(message.value)
        except (GreenroomError, StoreError) as error:
            self.send(asker, Failed(command.ref, as_refusal(error)))
        except Exception as error:
            # A crash answers and charges the sender of the current message. Here that is the read, not the asker.
            self.send(asker, Failed(command.ref, ActorCrashed()))
            if self.runtime.on_crash is not None:
                self.runtime.on_crash(self.myAddress, asker, error)
            raise

    # Outcomes of slices.

    def receiveMsg_SliceStored(self, message: SliceStored, sender: Address) -> None:
        health = self.world.health
        health.slices_stored += 1
        health.store_fails = False
        self._add_pending(message.number, message.items)
        if self._is_in_flight(message):
            self._in_flight = None
            self.on_committed(message.items)
        self._run_effects()

    def receiveMsg_PendingEffects(self, message: PendingEffects, sender: Address) -> None:
        self._add_pending(message.number, message.items)
        self._run_effects()

    def _add_pending(self, number: int, items: Iterable[Item]) -> None:
        """Add stored items. From now on this incarnation runs their effects, or passes them on to the next one."""
        self._pending_items.extend(items)
        self._last_outcome = number

    def _run_effects(self) -> None:
        """Run the effects of the pending items, once this incarnation has loaded."""
        if not self._is_loaded:
            return
        while True:
            for effect in self._effects:
                effect.run(self)
            if not self._pending_items:
                self._effects = _NO_EFFECTS
                return
            self._effects = iter(self._pending_items.pop(0).effects())

    def receiveMsg_SliceLate(self, message: SliceLate, sender: Address) -> None:
        """Answer the senders of the slice and of the draft with an error. The draft is kept, up to a bound."""
        self.world.health.slices_late += 1
        self.world.health.store_fails = True
        error = StoreFailed("the store is slow")
        draft = self._draft.items if self._draft is not None else []
        self._fail(message.items, error)
        self._fail(draft, error)
        if not self._is_loaded:
            self.refuse_stashed(Command, error)
        elif self._is_in_flight(message):
            self._is_late = True
            if len(draft) > self.world.settings.message.sends_in_flight:
                # The next incarnation waits for the slice. Meanwhile its stash is bounded, too.
                self._draft = None
                self.end()

    def receiveMsg_SliceRefused(self, message: SliceRefused, sender: Address) -> None:
        refusal, slice_ = message.refusal, self._in_flight
        self.world.health.count_refusal(failed=refusal.reason == Reason.FAILED)
        if slice_ is None or slice_.number != message.number:
            self._fail(message.items, StoreFailed(refusal.reason))
            return
        items = list(slice_.items)
        if refusal.reason == Reason.REPEATED:
            self._in_flight = None
            repeated = slice_.item_of(refusal.write)
            self.on_repeated(repeated, refusal)
            items = [other for other in items if other is not repeated]
        if self._draft is not None:
            items += self._draft.items
        if refusal.reason != Reason.REPEATED and not self.on_refused(items, refusal):
            self._end_unstored(slice_, refusal)
        self._in_flight = None
        self._draft = _Draft(slice_.decided_at, self.world.store.epoch, items) if items else None

    def _end_unstored(self, slice_: CommitSlice, refusal: Refusal) -> NoReturn:
        """Answer all senders with an error, and end this incarnation, so that the next one loads again. This is not a
        crash: otherwise an outage of the store would put healthy entities into quarantine."""
        self._in_flight = None
        error = self.refusal_error(refusal)
        self._fail(slice_.items, error)
        self._fail_unsealed(error)
        self.end()

    # The end of an incarnation.

    def on_crash(self, error: BaseException) -> None:
        self._fail_unsealed(StoreFailed("the entity failed"))

    def on_stop(self) -> None:
        self._fail_unsealed(StoreFailed("the node is stopping"))

    def pending_effects(self) -> PendingEffects | None:
        _, outcome = self._myRef.current or (None, None)
        if isinstance(outcome, SliceStored | PendingEffects):
            if outcome.number != self._last_outcome:  # The crash came before its items were added.
                self._add_pending(outcome.number, outcome.items)
        elif isinstance(outcome, SliceOutcome):
            self._fail(outcome.items, StoreFailed("the entity failed"))
        items = self._pending_items
        if remaining := list(self._effects):  # Without the effect that failed.
            items = [Change(effects=remaining), *items]
        return PendingEffects(self.runtime.next_number(), tuple(items)) if items else None

    def _fail(self, items: Iterable[Item], error: GreenroomError) -> None:
        for item in items:
            item.fail(self.send, error)

    def _fail_unsealed(self, error: GreenroomError) -> None:
        """Answer the askers of the pending read and of the draft with an error. The askers of a slice in flight are
        answered when the lane answers it."""
        if self._read_asker is not None:
            (asker, ref), self._read_asker = self._read_asker, None
            self.send(asker, Failed(ref, error))
        draft, self._draft = self._draft, None
        if draft is not None:
            self._fail(draft.items, error)
