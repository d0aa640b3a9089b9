"""An entity that keeps its state in the store: loaded through its lane, changed by slices, one in flight at a time.

Ordering rule: what a turn decides goes into the draft; the draft becomes the next slice when none is in flight; its
effects (answers, pushes) leave after the commit, in the order of the draft. So nothing can be acked early.

What a life leaves undone when it ends, the effects of what is stored, is one message that the next life gets first. A
slice in flight needs no such care: the lane answers it to the life that is there then.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn, TypeVar

from thespian.actors import WakeupMessage

from greenroom.actors.errors import ActorCrashed, GreenroomError, StoreFailed, as_refusal
from greenroom.actors.items import Change
from greenroom.actors.messages import Command, ProfileChanged, Push
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Failed, Piped
from greenroom.actors.slices import (
    AwaitWrites,
    CommitSlice,
    EffectsLeft,
    SliceLate,
    SliceOutcome,
    SliceRefused,
    SliceStored,
    WritesDone,
)
from greenroom.persistence.errors import StoreError
from greenroom.persistence.store import Reason, Refusal, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence

    from greenroom.actors.effects import Asker, Effect
    from greenroom.actors.items import Item
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.world import World
    from greenroom.persistence.store import Block

__all__ = ["SliceLost", "StoredEntity"]

log = logging.getLogger("greenroom.actors")

_OF_THE_LANE = (WritesDone, SliceStored, SliceLate, SliceRefused, EffectsLeft)
"""What a hold lets through."""

_LOAD_AGAIN_S: Final = 0.5
"""Wait after a load that the store could not answer."""

_NO_EFFECTS: Final[Iterator[Effect]] = iter(())

T = TypeVar("T")


class SliceLost(Exception):
    """An item is said to be stored already that no one can have sent twice: this life's picture is wrong."""


class _Draft:
    """What is decided and not yet in a slice."""

    def __init__(self, since: float, epoch: int, items: Iterable[Item] = ()) -> None:
        self.since = since
        """When the first item was decided, on the loop's clock."""
        self.epoch = epoch
        """The store's, then."""
        self.items = list(items)


class StoredEntity(Entity):
    """Subclasses load with `load`/`loaded`, add items with `decide`, and may change what a refusal means.

    A GreenroomError raised by a handler is the sender's answer; any other exception ends this life, and a
    slice that is in flight then finds its effects run by the next one.
    """

    KEY_PREFIX: ClassVar[str]
    """What the slices' keys begin with."""

    def __init__(self, world: World, entity_id: str) -> None:
        super().__init__()
        self.world = world
        self.id = entity_id
        self._lane = world.lane_of(self.key)
        self._life = 0
        """Number of this life, given out once by the base."""
        self._is_loading = False
        self._is_loaded = False
        self._draft: _Draft | None = None
        self._in_flight: CommitSlice | None = None
        self._is_late = False
        """The senders of the slice in flight were told that the store is slow."""
        self._reading: Asker | None = None
        """Whose command waits for a read."""
        self._taken_over = 0
        """Number of the last outcome whose items are among `_unfinished`, or were."""
        self._unfinished: list[Item] = []
        """Items that are stored, of this life or of former ones, and whose effects are still to be run."""
        self._effects = _NO_EFFECTS
        """Effects of the item before those, as far as they are still to be run."""

    @property
    def key(self) -> str:
        """Key of its slices."""
        return f"{self.KEY_PREFIX}{self.id}"

    def on_start(self) -> None:
        self.hold(*_OF_THE_LANE, WakeupMessage)
        self._life = self.runtime.next_number()
        self.send(self._lane, AwaitWrites(self.myAddress, self._life))

    async def load(self) -> Any:
        """Read the state; its result is given to `loaded`."""

    async def _take_and_load(self) -> Any:
        await self.world.store.take(self.key)
        return await self.load()

    def loaded(self, state: Any) -> None:
        """Take the state over. Messages come from now on."""

    def deliver(self, push: Push, user_ids: tuple[str, ...] | None, also: tuple[str, ...]) -> None:
        """Push to these users; None: to this entity's audience."""
        users = user_ids or ()
        self.world.sessions.push(push, (*users, *also) if also else users)

    def join(self, user_ids: Iterable[str]) -> None:
        """See `Host`; of an entity with an audience."""
        raise NotImplementedError

    def leave(self, user_ids: Iterable[str]) -> None:
        """See `Host`; of an entity with an audience."""
        raise NotImplementedError

    def seal(self, item: Item, seqs: dict[str, int]) -> Iterable[Block]:
        """The writes of an item; called again each time the item becomes part of a slice. `seqs` are the newest seqs
        that this slice has given, by conversation."""
        return item.writes

    def committed(self, items: Sequence[Item]) -> None:
        """A slice of this life is stored; its effects run next."""

    def refused(self, refusal: Refusal) -> GreenroomError:
        """What the senders of a refused slice are told."""
        return StoreFailed(refusal.reason)

    def repeated(self, item: Item, refusal: Refusal) -> None:
        """An item of the slice is stored already. Called before the slice is made again without it."""
        raise SliceLost(refusal.reason)

    def decide(self, *items: Item) -> None:
        """Add to the draft. It leaves as a slice when this turn is over, or when the one in flight is answered."""
        if self._draft is None:
            self._draft = _Draft(self.runtime.now, self.world.store.epoch)
        self._draft.items.extend(items)

    @property
    def is_late(self) -> bool:
        """The slice in flight has waited too long for the store already."""
        return self._in_flight is not None and self._is_late

    @property
    def is_settled(self) -> bool:
        """Whether nothing is decided beyond the slice that is in flight, or was just committed."""
        return self._draft is None

    def read(
        self,
        reading: Coroutine[Any, Any, T],
        then: Callable[[T], None],
        command: Command | ProfileChanged,
        sender: Address,
    ) -> None:
        """Await a read while other messages wait, then go on with `then(result)`; errors go to the sender."""
        self.hold(*_OF_THE_LANE)
        self._reading = (sender, command.ref)
        self.pipe(reading, tag=(then, command, sender))

    def may_sleep(self) -> bool:
        return self._in_flight is None and self._draft is None

    def on_turn_end(self) -> None:
        if self._draft is not None and self._in_flight is None:
            self._commit(self._draft)

    def _commit(self, draft: _Draft) -> None:
        """Seal the draft into a slice and give it to the lane."""
        writes: list[Block] = []
        starts: list[int] = []
        seqs: dict[str, int] = {}
        for item in draft.items:
            starts.append(len(writes))
            writes += self.seal(item, seqs)
        self._draft = None  # And not before: if an item fails, all of them are told.
        number, items = self.runtime.next_number(), tuple(draft.items)
        if not writes:
            self._take_over(number, items)
            self._finish()
            return
        slice_ = Slice(self.key, draft.epoch, writes)
        self._in_flight = CommitSlice(self.myAddress, number, draft.since, slice_, items, tuple(starts))
        self._is_late = False
        self.send(self._lane, self._in_flight)

    def _is_in_flight(self, outcome: SliceOutcome) -> bool:
        """Whether the lane speaks of this life's slice, not of a former one's."""
        return self._in_flight is not None and self._in_flight.number == outcome.number

    # Loading.

    def receiveMsg_WritesDone(self, message: WritesDone, sender: Address) -> None:
        if message.life != self._life:
            return
        if self._in_flight is not None:
            # The lane answers slices before it says this: it crashed before it had noted ours.
            self._end_unstored(self._in_flight, Refusal(Reason.FAILED, "the lane crashed"))
        if not self._is_loaded and not self._is_loading:
            self._is_loading = True
            self.pipe(self._take_and_load(), tag=None)

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        """The lane has crashed on a message of ours, or after it. What does it know?"""
        if sender == self._lane and (self._in_flight is not None or not self._is_loaded):
            self.send(self._lane, AwaitWrites(self.myAddress, self._life))

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        self.pipe(self._take_and_load(), tag=None)

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        if message.tag is None:
            self._take_state(message)
        else:
            self._take_read(message)

    def _take_state(self, message: Piped) -> None:
        if isinstance(message.error, StoreError):
            # No crash, which would end in quarantine; and what a former life has stored is not forgotten.
            times = self.runtime.sampler.take("load")
            if times:
                log.error(
                    "%s cannot be loaded: the store cannot be read (%d such since the last line)",
                    self.myAddress, times,
                )  # fmt: skip
            self.refuse_stashed(Command, as_refusal(message.error))
            self.wakeupAfter(_LOAD_AGAIN_S)
            return
        if message.error is not None:
            raise message.error
        self.loaded(message.value)
        self._is_loaded = True
        self._finish()
        self.release()

    def _take_read(self, message: Piped) -> None:
        then, command, asker = message.tag
        self._reading = None
        self.release()
        try:
            if message.error is not None:
                raise message.error
            then(message.value)
        except (GreenroomError, StoreError) as error:
            self.send(asker, Failed(command.ref, as_refusal(error)))
        except Exception as error:
            # The crash answers and charges who sent the message at hand, and that is the read's result.
            self.send(asker, Failed(command.ref, ActorCrashed()))
            if self.runtime.on_crash is not None:
                self.runtime.on_crash(self.myAddress, asker, error)
            raise

    # What the lane says of slices.

    def receiveMsg_SliceStored(self, message: SliceStored, sender: Address) -> None:
        health = self.world.health
        health.slices_stored += 1
        health.store_fails = False
        self._take_over(message.number, message.items)
        if self._is_in_flight(message):
            self._in_flight = None
            self.committed(message.items)
        self._finish()

    def receiveMsg_EffectsLeft(self, message: EffectsLeft, sender: Address) -> None:
        self._take_over(message.number, message.items)
        self._finish()

    def _take_over(self, number: int, items: Iterable[Item]) -> None:
        """From here on these effects are run by this life, or left to the next one."""
        self._unfinished.extend(items)
        self._taken_over = number

    def _finish(self) -> None:
        """Run the effects of what is stored, once this life is loaded."""
        if not self._is_loaded:
            return
        while True:
            for effect in self._effects:
                effect.run(self)
            if not self._unfinished:
                self._effects = _NO_EFFECTS
                return
            self._effects = iter(self._unfinished.pop(0).effects())

    def receiveMsg_SliceLate(self, message: SliceLate, sender: Address) -> None:
        """Those who wait behind the slice are told, too; what they asked for stays in the draft, up to a bound."""
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
                # The next life waits for the slice with as much room in its stash, and no more.
                self._draft = None
                self.end()

    def receiveMsg_SliceRefused(self, message: SliceRefused, sender: Address) -> None:
        refusal, slice_ = message.refusal, self._in_flight
        self.world.health.refused(failed=refusal.reason == Reason.FAILED)
        if slice_ is None or slice_.number != message.number:
            self._fail(message.items, StoreFailed(refusal.reason))
            return
        if refusal.reason != Reason.REPEATED:
            self._end_unstored(slice_, refusal)
        self._in_flight = None
        item = slice_.item_of(refusal.write)
        self.repeated(item, refusal)
        items = [other for other in slice_.items if other is not item]
        if self._draft is not None:
            items += self._draft.items
        self._draft = _Draft(slice_.since, self.world.store.epoch, items) if items else None

    def _end_unstored(self, slice_: CommitSlice, refusal: Refusal) -> NoReturn:
        """Tell everybody, and load again. The store's word is no fault of ours: as a crash, an outage would put
        healthy entities in quarantine."""
        self._in_flight = None
        error = self.refused(refusal)
        self._fail(slice_.items, error)
        self._fail_undecided(error)
        self.end()

    # The end of a life.

    def on_crash(self, error: BaseException) -> None:
        self._fail_undecided(StoreFailed("the entity failed"))

    def on_stop(self) -> None:
        self._fail_undecided(StoreFailed("the node stops"))

    def pending_effects(self) -> EffectsLeft | None:
        _, outcome = self._myRef.current or (None, None)
        if isinstance(outcome, SliceStored | EffectsLeft):
            if outcome.number != self._taken_over:  # It crashed this life before that.
                self._take_over(outcome.number, outcome.items)
        elif isinstance(outcome, SliceOutcome):
            self._fail(outcome.items, StoreFailed("the entity failed"))
        items = self._unfinished
        if begun := list(self._effects):  # Without the effect that failed.
            items = [Change(effects=begun), *items]
        return EffectsLeft(self.runtime.next_number(), tuple(items)) if items else None

    def _fail(self, items: Iterable[Item], error: GreenroomError) -> None:
        for item in items:
            item.lost(self.send, error)

    def _fail_undecided(self, error: GreenroomError) -> None:
        """Answer those who wait and are in no slice: those in a slice hear of it when the lane answers."""
        if self._reading is not None:
            (asker, ref), self._reading = self._reading, None
            self.send(asker, Failed(ref, error))
        draft, self._draft = self._draft, None
        if draft is not None:
            self._fail(draft.items, error)
