"""An entity that keeps its state in the store: loaded through its lane, changed by slices, one under way at a time.

Ordering rule: what a turn decides goes into the draft; the draft becomes the next slice when none is under way, and
joins it while it still waits in the lane; its effects (answers, pushes) leave after the commit, in the order of the
draft. So nothing can be acked early.
"""

from __future__ import annotations

import logging
from itertools import chain
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from thespian.actors import WakeupMessage

from greenroom.actors.errors import ActorCrashed, GreenroomError, StoreUnavailable, as_refusal
from greenroom.actors.items import Change
from greenroom.actors.messages import (
    AwaitWrites,
    Command,
    CommitSlice,
    Push,
    SliceLate,
    SliceRefused,
    SliceStored,
    WritesSettled,
)
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Failed, Piped
from greenroom.persistence.errors import StoreError
from greenroom.persistence.store import Reason, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from greenroom.actors.effects import Asker, Effect
    from greenroom.actors.items import Item
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.world import World
    from greenroom.persistence.store import Block

__all__ = ["SliceLost", "StoredEntity"]

log = logging.getLogger("greenroom.actors")

_OF_THE_LANE = (WritesSettled, SliceStored, SliceLate, SliceRefused)
"""What a hold lets through."""

_LOAD_AGAIN_S: Final = 0.5
"""Wait after a load that the store could not answer."""

class SliceLost(Exception):
    """An item is said to be stored already that no one can have sent twice: this life's picture is wrong."""


class StoredEntity(Entity):
    """Subclasses load with `load`/`loaded`, add items with `decide`, and may change what a refusal means.

    A GreenroomError raised by a handler is the sender's answer; any other exception ends this life, and a
    slice that is under way then finds its effects run by the next one.
    """

    KEY_PREFIX: ClassVar[str]
    """What the slices' keys begin with."""

    def __init__(self, world: World, entity_id: str) -> None:
        super().__init__()
        self.world = world
        self.id = entity_id
        self._lane = world.lane_of(self.key)
        self._draft: CommitSlice | None = None
        self._sealed: CommitSlice | None = None
        self._reading: Asker | None = None
        """Whose command waits for a read."""
        self._inherited: list[list[Item]] | None = []
        """Items of a former life's slice, stored, that came before this life was loaded; None once it is."""
        self._loading = False
        self._life = 0
        self._running: Sequence[Item] = ()
        self._not_run: Iterable[Effect] = ()
        """The items whose effects are being run, and what is left of these."""

    @property
    def key(self) -> str:
        """Of its slices."""
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

    def seal(self, item: Item, slice_: CommitSlice) -> Iterable[Block]:
        """The writes of an item; called again each time the item becomes part of a slice."""
        return item.writes

    def refused(self, refusal: Refusal) -> GreenroomError:
        """What the senders of a refused slice are told."""
        return StoreUnavailable(refusal.reason)

    def repeated(self, item: Item, refusal: Refusal) -> None:
        """An item of the slice is stored already. Called before the slice is made anew without it."""
        raise SliceLost(refusal.reason)

    def decide(self, *items: Item) -> None:
        """Add to the draft. It leaves as a slice when this turn is over, or when the one under way is done."""
        if self._draft is None:
            self._draft = self._empty_slice(self.runtime.now)
        self._draft.items.extend(items)

    def _empty_slice(self, since: float) -> CommitSlice:
        return CommitSlice(self.myAddress, self.key, self.world.store.epoch, since)

    @property
    def is_late(self) -> bool:
        """The slice under way waits too long for the store already."""
        return self._sealed is not None and self._sealed.is_late

    def read(
        self, reading: Coroutine[Any, Any, Any], then: Callable[[Any], None], command: Any, sender: Address
    ) -> None:
        """Await a read while other messages wait, then go on with `then(result)`; errors go to the sender."""
        self.hold(*_OF_THE_LANE)
        self._reading = (sender, command.ref)
        self.pipe(reading, tag=(then, command, sender))

    def may_sleep(self) -> bool:
        return self._sealed is None and self._draft is None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is decided beyond the slice that is under way, or was just committed."""
        return self._draft is None

    def turn_over(self) -> None:
        if self._draft is not None and (self._sealed is None or not self._sealed.is_taken):
            self._commit(self._draft)

    def receiveMsg_WritesSettled(self, message: WritesSettled, sender: Address) -> None:
        if message.life != self._life:
            return
        if self._sealed is not None:
            # The lane answers slices before it says this: it crashed before it had noted ours.
            self._end_unstored(self._sealed, Refusal(Reason.FAILED, "the lane crashed"))
        if self._inherited is not None and not self._loading:
            self._loading = True
            self.pipe(self._take_and_load(), tag=None)

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        """The lane has crashed on a message of ours, or after it. What does it know?"""
        if sender == self._lane and (self._sealed is not None or self._inherited is not None):
            self.send(self._lane, AwaitWrites(self.myAddress, self._life))

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        self.pipe(self._take_and_load(), tag=None)

    def receiveMsg_Piped(self, message: Piped, sender: Address) -> None:
        if message.tag is None:
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
            while self._inherited:
                self._run(self._inherited.pop(0))
            self._inherited = None
            self.release()
            return
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

    def receiveMsg_SliceStored(self, message: SliceStored, sender: Address) -> None:
        if sender == self._lane:  # And not a former life that hands on what is left to do.
            tally = self.world.tally
            tally.slices_stored += 1
            tally.store_fails = False
        if self._inherited is not None:
            self._inherited.append(message.items)
            return
        if self._sealed is not None and self._sealed.items is message.items:
            self.committed(self._sealed)
            self._sealed = None
        self._run(message.items)

    def committed(self, slice_: CommitSlice) -> None:
        """The slice of this life is stored; its effects run next."""

    def receiveMsg_SliceLate(self, message: SliceLate, sender: Address) -> None:
        """Whoever waits behind the slice is told, too; what they asked for stays in the draft, up to a bound."""
        self.world.tally.slices_late += 1
        self.world.tally.store_fails = True
        error = StoreUnavailable("the store is slow")
        draft = self._draft.items if self._draft is not None else []
        self._fail(message.items, error)
        self._fail(draft, error)
        if self._inherited is not None:
            self.refuse_stashed(Command, error)
        elif self._sealed is not None and self._sealed.items is message.items:
            self._sealed.is_late = True
            if len(draft) > self.world.settings.message.sends_in_flight:
                # The next life waits for the slice with as much room in its stash, and no more.
                self._draft = None
                self.end()

    def receiveMsg_SliceRefused(self, message: SliceRefused, sender: Address) -> None:
        if sender == self._lane:
            self.world.tally.refused(failed=message.refusal.reason == Reason.FAILED)
        sealed = self._sealed
        if sealed is None or sealed.items is not message.items:
            self._fail(message.items, StoreUnavailable(message.refusal.reason))
            return
        if message.refusal.reason != Reason.REPEATED:
            self._end_unstored(sealed, message.refusal)
        self._sealed = None
        item = sealed.item_of(message.refusal.write)
        self.repeated(item, message.refusal)
        draft = self._empty_slice(sealed.since)
        draft.items = [other for other in sealed.items if other is not item]
        if self._draft is not None:
            draft.items += self._draft.items
        self._draft = draft if draft.items else None

    def _end_unstored(self, sealed: CommitSlice, refusal: Refusal) -> NoReturn:
        """Tell everybody, and load anew. The store's word is no fault of ours: as a crash, an outage would put
        healthy entities in quarantine."""
        self._sealed = None
        error = self.refused(refusal)
        self._fail(sealed.items, error)
        self._fail_unsealed(error)
        self.end()

    def on_crash(self, error: BaseException) -> None:
        self._fail_unsealed(StoreUnavailable("the entity failed"))
        # What the lane has answered it does not answer again: the next life does what is left, but for the effect
        # that failed.
        rest = list(self._not_run)
        _, outcome = self._myRef.current or (None, None)
        if isinstance(outcome, SliceStored | SliceRefused):
            if outcome.items is not self._running and outcome.items:
                self.hand_on(outcome)
            elif rest:
                self.hand_on(SliceStored([Change(effects=rest)]))
        elif rest:
            self.send(self.myAddress, SliceStored([Change(effects=rest)]))
        for items in self._inherited or ():
            self.send(self.myAddress, SliceStored(items))

    def on_stop(self) -> None:
        self._fail_unsealed(StoreUnavailable("the node stops"))

    def _run(self, items: list[Item]) -> None:
        self._running = items
        self._not_run = chain.from_iterable(item.effects() for item in items)
        for effect in self._not_run:
            effect.run(self)
        # Done: an entity that falls silent keeps no message in memory.
        self._running = self._not_run = ()
        items.clear()

    def _commit(self, draft: CommitSlice) -> None:
        waiting = self._sealed
        # The seqs and writes of one that joins go on where those of the other end.
        if waiting is not None:
            draft.seqs.update(waiting.seqs)
        before = len(waiting.writes) if waiting is not None else 0
        for item in draft.items:
            item.first = before + len(draft.writes)
            draft.writes += self.seal(item, draft)
        self._draft = None  # And not before: if an item fails, all of them are told.
        if waiting is not None:
            waiting.join(draft)
        elif draft.writes:
            self._sealed = draft
            self.send(self._lane, draft)
        else:
            self._run(draft.items)

    def _fail(self, items: Iterable[Item], error: GreenroomError) -> None:
        for item in items:
            item.lost(self.send, error)

    def _fail_unsealed(self, error: GreenroomError) -> None:
        """Answer whoever waits and is in no slice: those in a slice hear of it when the lane answers."""
        if self._reading is not None:
            (asker, ref), self._reading = self._reading, None
            self.send(asker, Failed(ref, error))
        draft, self._draft = self._draft, None
        if draft is not None:
            self._fail(draft.items, error)
