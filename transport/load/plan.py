"""The plan of a load: the messages to virtual users, and their times. It does not depend on the server's answers, and
the same seed makes the same plan.
"""

from __future__ import annotations

import heapq
import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from greenroom.transport.load.population import Destination
from greenroom.transport.load.scenario import Churn, DirectTalk, GroupTalk, Offline, Slow, Storm

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from greenroom.transport.load.population import Population
    from greenroom.transport.load.scenario import Step

__all__ = [
    "Connect", "Cue", "Drop", "End", "PauseReading", "Plan", "Speak", "Talk", "planned_times", "repeating",
]  # fmt: skip


class Connect(msgspec.Struct, frozen=True):
    """Log in now. The latency is measured from `planned_ns`, the planned time."""

    planned_ns: int


class Drop(msgspec.Struct, frozen=True):
    """Lose the connection, and reconnect `back_after_s` seconds after the planned time."""

    planned_ns: int
    back_after_s: float
    half_open: bool = False
    """The old connection stays open, but is no longer read or written."""
    resend: bool = False
    """Messages that are pending on the old connection are sent again on the next one."""


class PauseReading(msgspec.Struct, frozen=True):
    for_s: float


class Speak(msgspec.Struct, frozen=True):
    """Send one message."""

    planned_ns: int
    destination: Destination
    payload_bytes: int
    stored: bool


class Talk(msgspec.Struct, frozen=True):
    """Closed loop: send, wait for the answer, think, and repeat until the time `until_ns`."""

    until_ns: int


class End(msgspec.Struct, frozen=True):
    """The load is over: send no more, reconnect if offline on purpose, and resume reading."""


class Cue(NamedTuple):
    """A message to the device at a place, and its time by the monotonic clock."""

    at_ns: int
    step: int
    place: int
    act: Drop | PauseReading | Speak


class Plan:
    """The plan for the devices of one process. Times are of the monotonic clock."""

    def __init__(
        self, population: Population, places: range, *, rate_per_s: float, hold_s: float, start_ns: int
    ) -> None:
        self._population = population
        self._places = places
        self._scenario = population.scenario
        self._pace = population.scenario.pace
        self._rate_per_s = rate_per_s
        self._hold_s = hold_s
        self._start_ns = start_ns
        self.measured_from_ns = self._ns(self._pace.ramp_s)
        """The end of the ramp. Earlier messages are not measured."""
        self.end_ns = self._ns(self._pace.ramp_s + hold_s)

    def cues(self) -> Iterator[Cue]:
        """The cues of all steps, in the order of their times."""
        streams = [stream for number, step in enumerate(self._scenario.step) for stream in self._streams(number, step)]
        return heapq.merge(*streams, key=lambda cue: cue[:3])

    def _ns(self, at_s: float) -> int:
        return self._start_ns + int(at_s * 1e9)

    def _streams(self, number: int, step: Step) -> Iterator[Iterator[Cue]]:
        begin_s = self._pace.ramp_s + step.from_share * self._hold_s
        end_s = self._pace.ramp_s + step.to_share * self._hold_s
        if isinstance(step, DirectTalk | GroupTalk):
            if self._pace.mode == "open":
                yield self._messages(number, step)
        elif isinstance(step, Offline):
            away = Drop(self._ns(begin_s), end_s - begin_s)
            yield iter([Cue(away.planned_ns, number, place, away) for place in self._chosen(number, step.share)])
        elif isinstance(step, Slow):
            for place in self._chosen(number, step.share):
                yield self._pauses(number, step, place, begin_s, end_s)
        elif isinstance(step, Churn):
            for place in self._chosen(number, step.share):
                yield self._losses(number, step, place, begin_s, end_s)
        elif isinstance(step, Storm):
            yield self._storms(number, step, begin_s, end_s)

    def _messages(self, number: int, step: DirectTalk | GroupTalk) -> Iterator[Cue]:
        population, pace, talks = self._population, self._pace, self._scenario.talks
        talk = next(at for at, each in enumerate(talks) if each is step)
        rng = population.seeded("talk", number, self._places.start, self._rate_per_s)
        users = [device.user for device in population.devices]
        speakers = [place for place, user in enumerate(users) if population.destination(talk, user, rng) is not None]
        own = [place for place in speakers if place in self._places]
        if not own:
            return
        rate_per_s = self._rate_per_s * step.weight / sum(each.weight for each in talks) * len(own) / len(speakers)
        first_s = 0.0 if step.from_share == 0 else pace.ramp_s + step.from_share * self._hold_s
        last_s = pace.ramp_s + step.to_share * self._hold_s
        for at_s in planned_times(
            rate_per_s=rate_per_s, ramp_s=pace.ramp_s, hold_s=self._hold_s, arrivals=pace.arrivals, rng=rng
        ):
            if first_s <= at_s <= last_s:
                place = own[rng.randrange(len(own))]
                destination = population.destination(talk, users[place], rng)
                assert destination is not None
                speak = Speak(self._ns(at_s), destination, rng.randint(*step.payload_bytes), step.stored)
                yield Cue(speak.planned_ns, number, place, speak)

    def _pauses(self, number: int, step: Slow, place: int, begin_s: float, end_s: float) -> Iterator[Cue]:
        rng = self._population.seeded("slow", number, place)
        for at_s in repeating(first_s=begin_s, every_s=step.every_s, end_s=end_s, rng=rng):
            yield Cue(self._ns(at_s), number, place, PauseReading(min(step.pause_s, end_s - at_s)))

    def _losses(self, number: int, step: Churn, place: int, begin_s: float, end_s: float) -> Iterator[Cue]:
        rng = self._population.seeded("churn", number, place)
        for at_s in repeating(first_s=begin_s, every_s=step.every_s, end_s=end_s, rng=rng):
            half_open = rng.random() < step.half_open_share
            drop = Drop(self._ns(at_s), rng.uniform(0.05, 0.5), half_open, step.resend)
            yield Cue(drop.planned_ns, number, place, drop)

    def _storms(self, number: int, step: Storm, begin_s: float, end_s: float) -> Iterator[Cue]:
        rng = self._population.seeded("storm", number, self._places.start)
        places = self._chosen(number, step.share)
        for time in range(step.times):
            at_ns = self._ns(begin_s + (end_s - begin_s) * (time + 0.5) / step.times)
            for place in places:
                yield Cue(at_ns, number, place, Drop(at_ns, 0.05 + rng.uniform(0, step.over_s)))

    def _chosen(self, number: int, share: float) -> list[int]:
        """The devices of this process whose users were chosen for a step with this share of all users."""
        users = len(self._population.user_ids)
        chosen_users = set(self._population.seeded("chosen", number).sample(range(users), max(1, round(users * share))))
        return [place for place in self._places if self._population.devices[place].user in chosen_users]


def planned_times(
    *, rate_per_s: float, ramp_s: float, hold_s: float, arrivals: Literal["poisson", "even"], rng: random.Random
) -> Iterator[float]:
    """Seconds from the start, ascending. The rate grows linearly during the ramp, and is then constant.

    Poisson arrivals have independent gaps, like the messages of many users; even arrivals have equal gaps.
    """
    in_ramp = rate_per_s * ramp_s / 2
    total = in_ramp + rate_per_s * hold_s
    count = 0.0
    while True:
        count += rng.expovariate(1.0) if arrivals == "poisson" else 1.0
        if count > total:
            return
        # The inverse of "number of messages up to a time".
        if count < in_ramp:
            yield math.sqrt(2 * ramp_s * count / rate_per_s)
        else:
            yield ramp_s + (count - in_ramp) / rate_per_s


def repeating(*, first_s: float, every_s: float, end_s: float, rng: random.Random) -> Iterator[float]:
    """Times with gaps between 0.5 and 1.5 times `every_s`, so that many such sequences do not synchronise."""
    at = first_s + every_s * rng.random()
    while at < end_s:
        yield at
        at += every_s * rng.uniform(0.5, 1.5)
