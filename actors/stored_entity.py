"""An entity that keeps its state in the store: loaded through its lane, changed by slices, one under way at a time.

Ordering rule: what a turn decides goes into the draft; the draft becomes the next slice when none is under way, and
joins it while it still waits in the lane; its effects (answers, pushes) leave after the commit, in the order of the
draft. So nothing can be acked early.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

from thespian.actors import WakeupMessage

from greenroom.actors.errors import ActorCrashed, GreenroomError, StoreUnavailable, as_refusal
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
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.replies import Answer, Failed, Piped
from greenroom.persistence.errors import StoreError
from greenroom.persistence.store import Block, Reason, Refusal, Slice

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from greenroom.actors.world import World

__all__ = ["Change", "Deliver", "Effect", "Item", "Reply", "Sealing", "SliceLost", "StoredEntity"]

log = logging.getLogger("greenroom.actors")

_OF_THE_LANE = (WritesSettled, SliceStored, SliceLate, SliceRefused)
"""What a hold lets through."""

_LOAD_AGAIN_S: Final = 0.5
"""Wait after a load that the store could not answer."""

Asker = tuple[Address, Any]
"""Who waits for an answer, and his own mark."""


class SliceLost(Exception):
    """An item is said to be stored already that no one can have sent twice: this life's picture is wrong."""


class Effect:
    """Something that leaves the entity after the commit."""

    __slots__ = ()

    def run(self, entity: StoredEntity) -> None:
        raise NotImplementedError

    def lost(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        """It will not be run. Whoever waits for it is told."""


class Reply(Effect):
    """Answer whoever waits. The list is emptied when they were told of a failure before."""

    __slots__ = ("askers", "value")

    def __init__(self, askers: list[Asker], value: Any) -> None:
        self.askers = askers
        self.value = value

    def run(self, entity: StoredEntity) -> None:
        for address, ref in self.askers:
            entity.send(address, Answer(ref, self.value))
        self.askers.clear()

    def lost(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        for address, ref in self.askers:
            send(address, Failed(ref, error))
        self.askers.clear()


class Deliver(Effect):
    """Push one message to users; `user_ids` None: to the entity's audience."""

    __slots__ = ("also", "push", "user_ids")

    def __init__(self, push: Push, user_ids: tuple[str, ...] | None, also: tuple[str, ...] = ()) -> None:
        self.push = push
        self.user_ids = user_ids
        self.also = also

    def run(self, entity: StoredEntity) -> None:
        entity.deliver(self.push, self.user_ids, self.also)


class Sealing:
    """A slice in the making: a draft of items, until it is sealed."""

    __slots__ = ("command", "draft", "effects", "is_late", "items", "seqs", "since", "writes")

    def __init__(self, since: float) -> None:
        self.draft: list[Item] = []
        """What it is made of, also what writes nothing."""
        self.command: CommitSlice | None = None
        """What the lane was given; it shares `writes` and `effects`."""
        self.since = since
        """When the first of its items was decided, on the loop's clock."""
        self.seqs: dict[str, int] = {}
        """The newest seqs that it gives, by conversation."""
        self.is_late = False
        """Its senders were told that the store is slow."""
        self.writes: list[Block] = []
        self.effects: list[Effect] = []
        self.items: list[Item] = []
        """Which item each write came from."""

    @property
    def is_open(self) -> bool:
        """Whether the lane has not yet given it to the store."""
        return self.command is not None and not self.command.is_taken

    def write(self, item: Item, *writes: Block) -> None:
        for write in writes:
            self.writes.append(write)
            self.items.append(item)

    def join(self, more: Sealing) -> None:
        self.draft += more.draft
        self.seqs |= more.seqs
        self.writes += more.writes
        self.items += more.items
        self.effects += more.effects


class Item:
    """One decision of the draft. `askers` hear of it after the commit."""

    __slots__ = ("askers",)

    def __init__(self, askers: Iterable[Asker] = ()) -> None:
        self.askers = list(askers)

    def seal(self, sealing: Sealing) -> None:
        """Add writes and effects; called anew each time the item becomes part of a slice."""
        raise NotImplementedError


class Change(Item):
    """Writes and effects that are known at once."""

    __slots__ = ("effects", "value", "writes")

    def __init__(
        self, *writes: Block, effects: Iterable[Effect] = (), askers: Iterable[Asker] = (), value: Any = None
    ) -> None:
        super().__init__(askers)
        self.writes = writes
        self.effects = tuple(effects)
        self.value = value

    def seal(self, sealing: Sealing) -> None:
        sealing.write(self, *self.writes)
        sealing.effects.append(Reply(self.askers, self.value))
        sealing.effects.extend(self.effects)


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
        self._draft: Sealing | None = None
        self._sealed: Sealing | None = None
        self._reading: Asker | None = None
        """Whose command waits for a read."""
        self._inherited: list[Iterable[Effect]] | None = []
        """Effects of a former life's slice that came before this life was loaded; None once it is."""
        self._loading = False
        self._life = 0
        self._running: Iterable[Effect] = ()
        self._not_run: Iterable[Effect] = ()
        """The effects that are being run, and what is left of them."""

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

    def loaded(self, state: Any) -> None:
        """Take the state over. Messages come from now on."""

    def deliver(self, push: Push, user_ids: tuple[str, ...] | None, also: tuple[str, ...]) -> None:
        """Push to these users; None: to this entity's audience."""
        users = user_ids or ()
        self.world.sessions.push(push, (*users, *also) if also else users)

    def refused(self, refusal: Refusal) -> GreenroomError:
        """What the senders of a refused slice are told."""
        return StoreUnavailable(refusal.reason)

    def repeated(self, item: Item, refusal: Refusal) -> None:
        """An item of the slice is stored already. Called before the slice is made anew without it."""
        raise SliceLost(refusal.reason)

    def decide(self, *items: Item) -> None:
        """Add to the draft. It leaves as a slice when this turn is over, or when the one under way is done."""
        if self._draft is None:
            self._draft = Sealing(self.runtime.now)
        self._draft.draft.extend(items)

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
        if self._draft is not None and (self._sealed is None or self._sealed.is_open):
            self._commit(self._draft)

    def receiveMsg_WritesSettled(self, message: WritesSettled, sender: Address) -> None:
        if message.life != self._life:
            return
        if self._sealed is not None:
            # The lane answers slices before it says this: it crashed before it had noted ours.
            self._end_unstored(self._sealed, Refusal(Reason.FAILED, "the lane crashed"))
        if self._inherited is not None and not self._loading:
            self._loading = True
            self.pipe(self.load(), tag=None)

    def receiveMsg_Failed(self, message: Failed, sender: Address) -> None:
        """The lane has crashed on a message of ours, or after it. What does it know?"""
        if sender == self._lane and (self._sealed is not None or self._inherited is not None):
            self.send(self._lane, AwaitWrites(self.myAddress, self._life))

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        self.pipe(self.load(), tag=None)

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
            self._inherited.append(message.effects)
            return
        if self._sealed is not None and self._sealed.effects is message.effects:
            self.committed(self._sealed)
            self._sealed = None
        self._run(message.effects)

    def committed(self, sealing: Sealing) -> None:
        """The slice of this life is stored; its effects run next."""

    def receiveMsg_SliceLate(self, message: SliceLate, sender: Address) -> None:
        """Whoever waits behind the slice is told, too; what they asked for stays in the draft, up to a bound."""
        self.world.tally.slices_late += 1
        self.world.tally.store_fails = True
        error = StoreUnavailable("the store is slow")
        self._fail(message.effects, error)
        draft = self._draft.draft if self._draft is not None else ()
        for item in draft:
            Reply(item.askers, None).lost(self.send, error)
        if self._inherited is not None:
            self.refuse_stashed(Command, error)
        elif self._sealed is not None and self._sealed.effects is message.effects:
            self._sealed.is_late = True
            if len(draft) > self.world.settings.message.sends_in_flight:
                # The next life waits for the slice with as much room in its stash, and no more.
                self._draft = None
                self.end()

    def receiveMsg_SliceRefused(self, message: SliceRefused, sender: Address) -> None:
        if sender == self._lane:
            self.world.tally.refused(failed=message.refusal.reason == Reason.FAILED)
        sealed = self._sealed
        if sealed is None or sealed.effects is not message.effects:
            self._fail(message.effects, StoreUnavailable(message.refusal.reason))
            return
        if message.refusal.reason != Reason.REPEATED:
            self._end_unstored(sealed, message.refusal)
        self._sealed = None
        item = sealed.items[message.refusal.index]
        self.repeated(item, message.refusal)
        draft = Sealing(sealed.since)
        draft.draft = [other for other in sealed.draft if other is not item]
        if self._draft is not None:
            draft.draft += self._draft.draft
        self._draft = draft if draft.draft else None

    def _end_unstored(self, sealed: Sealing, refusal: Refusal) -> NoReturn:
        """Tell everybody, and load anew. The store's word is no fault of ours: as a crash, an outage would put
        healthy entities in quarantine."""
        self._sealed = None
        error = self.refused(refusal)
        self._fail(sealed.effects, error)
        self._fail_unsealed(error)
        self.end()

    def on_crash(self, error: BaseException) -> None:
        self._fail_unsealed(StoreUnavailable("the entity failed"))
        # What the lane has answered it does not answer again: the next life does what is left, but for the effect
        # that failed.
        rest = list(self._not_run)
        _, outcome = self._myRef.current or (None, None)
        if isinstance(outcome, SliceStored | SliceRefused):
            if outcome.effects is not self._running and outcome.effects:
                self.hand_on(outcome)
            elif rest:
                self.hand_on(SliceStored(rest))
        elif rest:
            self.send(self.myAddress, SliceStored(rest))
        for effects in self._inherited or ():
            self.send(self.myAddress, SliceStored(effects))

    def on_stop(self) -> None:
        self._fail_unsealed(StoreUnavailable("the node stops"))

    def _run(self, effects: Iterable[Effect]) -> None:
        self._running, self._not_run = effects, iter(effects)
        for effect in self._not_run:
            effect.run(self)
        # Done: an entity that falls silent keeps no message in memory.
        self._running = self._not_run = ()
        if isinstance(effects, list):
            effects.clear()

    def _commit(self, sealing: Sealing) -> None:
        waiting = self._sealed
        if waiting is not None:
            sealing.seqs.update(waiting.seqs)
        for item in sealing.draft:
            item.seal(sealing)
        self._draft = None  # And not before: if an item fails, all of them are told.
        if waiting is not None:
            waiting.join(sealing)
            return
        if not sealing.writes:
            self._run(sealing.effects)
            return
        self._sealed = sealing
        slice_ = Slice(self.key, self.world.store.epoch, sealing.writes)
        sealing.command = CommitSlice(self.myAddress, slice_, sealing.effects, sealing.since)
        self.send(self._lane, sealing.command)

    def _fail(self, effects: Iterable[Effect], error: GreenroomError) -> None:
        for effect in effects:
            effect.lost(self.send, error)

    def _fail_unsealed(self, error: GreenroomError) -> None:
        """Answer whoever waits and is in no slice: those in a slice hear of it when the lane answers."""
        if self._reading is not None:
            (asker, ref), self._reading = self._reading, None
            self.send(asker, Failed(ref, error))
        draft, self._draft = self._draft, None
        for item in draft.draft if draft is not None else ():
            Reply(item.askers, None).lost(self.send, error)
