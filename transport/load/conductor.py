"""The conductor: plans the whole load of its process before it begins, and gives each cue when it is due.

A cue that is late keeps its planned time, and what is measured is counted from there.
"""

from __future__ import annotations

import heapq
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple

from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.transport.load.arrivals import planned_times, repeating
from greenroom.transport.load.scenario import Churn, Direct, Group, Offline, Slow, Storm
from greenroom.transport.load.user_messages import Drop, End, PauseReading, Speak, Talk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from thespian.actors import WakeupMessage

    from greenroom.transport.load.scenario import Step
    from greenroom.transport.load.stage import Stage
    from greenroom.transport.load.user_messages import Begin

__all__ = ["Conductor", "device_address"]

SHORTEST_WAIT_S = 0.001
"""Cues closer together than this are given together: the loop's own timers are no finer."""
CUES_AT_ONCE = 256
"""Then others get their turn, and the answers to the first ones are read."""


def device_address(place: int) -> Address:
    return Address("virtual-user", str(place))


class Cue(NamedTuple):
    at_s: float
    stream: int
    place: int
    act: object
    """A message, or for a step that sends the number of the step."""


class Conductor(Entity):
    """One of a process. `Begin` starts a load (again, after an earlier one), `End` ends it early."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage
        self._cues: Iterator[Cue] = iter(())
        self._next: Cue | None = None
        self._start_ns = 0
        self._round = 0
        self._trial = 0

    def receiveMsg_Begin(self, message: Begin, sender: Address) -> None:
        stage, pace = self._stage, self._stage.scenario.pace
        self._start_ns = message.start_ns
        self._round += 1
        end_s = pace.ramp_s + message.hold_s
        stage.tally.measured_from_ns = message.start_ns + int(pace.ramp_s * 1e9)
        streams = [
            stream
            for number, step in enumerate(stage.scenario.step)
            for stream in self._streams(number, step, message.rate_per_s, message.hold_s)
        ]
        if pace.mode == "closed":
            for place in stage.mine:
                self.send(device_address(place), Talk(message.start_ns + int(end_s * 1e9)))
        self._cues = heapq.merge(*streams, key=lambda cue: cue[:3])
        self._advance()

    def receiveMsg_End(self, message: End, sender: Address) -> None:
        self._cues, self._next = iter(()), None
        self._round += 1
        for place in self._stage.mine:
            self.send(device_address(place), message)

    def receiveMsg_WakeupMessage(self, message: WakeupMessage, sender: Address) -> None:
        if message.payload == self._round:
            self._give()

    def _advance(self) -> None:
        self._next = next(self._cues, None)
        self._wait()

    def _wait(self) -> None:
        if self._next is not None:
            wait_s = self._next.at_s - (self._stage.clock() - self._start_ns) / 1e9
            self.wakeupAfter(timedelta(seconds=max(SHORTEST_WAIT_S, wait_s)), self._round)

    def _give(self) -> None:
        now_s = (self._stage.clock() - self._start_ns) / 1e9
        cue, left = self._next, CUES_AT_ONCE
        while cue is not None and cue.at_s <= now_s and left:
            left -= 1
            planned_ns = self._start_ns + int(cue.at_s * 1e9)
            act = cue.act
            if type(act) is Drop:
                act = Drop(act.half_open, act.back_after_s, act.resend, planned_ns)
            elif type(act) is Speak:
                act = Speak(planned_ns, act.target, act.payload_bytes, act.stored)
            self.send(device_address(cue.place), act)
            cue = next(self._cues, None)
        self._next = cue
        self._wait()

    # The plan

    def _streams(self, number: int, step: Step, rate_per_s: float, hold_s: float) -> Iterator[Iterator[Cue]]:
        pace = self._stage.scenario.pace
        begin_s = pace.ramp_s + step.from_share * hold_s
        end_s = pace.ramp_s + step.to_share * hold_s
        if isinstance(step, Direct | Group):
            if pace.mode == "open":
                yield self._talking(number, step, rate_per_s, hold_s)
        elif isinstance(step, Offline):
            yield iter(
                [
                    Cue(begin_s, number, place, Drop(False, end_s - begin_s, False, 0))
                    for place in self._chosen(number, step.share)
                ]
            )
        elif isinstance(step, Slow):
            for place in self._chosen(number, step.share):
                yield self._pauses(number, step, place, begin_s, end_s)
        elif isinstance(step, Churn):
            for place in self._chosen(number, step.share):
                yield self._losses(number, step, place, begin_s, end_s)
        elif isinstance(step, Storm):
            yield self._storms(number, step, begin_s, end_s)

    def _talking(self, number: int, step: Direct | Group, rate_per_s: float, hold_s: float) -> Iterator[Cue]:
        stage, pace = self._stage, self._stage.scenario.pace
        talks = stage.scenario.talks
        talk = next(at for at, each in enumerate(talks) if each is step)
        rng = stage.seeded("talk", number, stage.mine.start, rate_per_s)
        devices, population = stage.population.devices, stage.population
        takes_part = [place for place in stage.mine if population.target(talk, devices[place].user, rng) is not None]
        if not takes_part:
            return
        everybody = sum(population.target(talk, device.user, rng) is not None for device in devices)
        mine_per_s = rate_per_s * step.weight / sum(each.weight for each in talks) * len(takes_part) / everybody
        first_s = 0.0 if step.from_share == 0 else pace.ramp_s + step.from_share * hold_s
        last_s = pace.ramp_s + step.to_share * hold_s
        for at_s in planned_times(
            rate_per_s=mine_per_s, ramp_s=pace.ramp_s, hold_s=hold_s, arrivals=pace.arrivals, rng=rng
        ):
            if not first_s <= at_s <= last_s:
                continue
            place = takes_part[rng.randrange(len(takes_part))]
            target = population.target(talk, devices[place].user, rng)
            assert target is not None
            yield Cue(at_s, number, place, Speak(0, target, rng.randint(*step.payload_bytes), step.stored))

    def _pauses(self, number: int, step: Slow, place: int, begin_s: float, end_s: float) -> Iterator[Cue]:
        rng = self._stage.seeded("slow", number, place)
        for at_s in repeating(first_s=begin_s, every_s=step.every_s, end_s=end_s, rng=rng):
            yield Cue(at_s, number, place, PauseReading(min(step.pause_s, end_s - at_s)))

    def _losses(self, number: int, step: Churn, place: int, begin_s: float, end_s: float) -> Iterator[Cue]:
        rng = self._stage.seeded("churn", number, place)
        for at_s in repeating(first_s=begin_s, every_s=step.every_s, end_s=end_s, rng=rng):
            half_open = rng.random() < step.half_open_share
            yield Cue(at_s, number, place, Drop(half_open, rng.uniform(0.05, 0.5), step.resend, 0))

    def _storms(self, number: int, step: Storm, begin_s: float, end_s: float) -> Iterator[Cue]:
        rng = self._stage.seeded("storm", number, self._stage.mine.start)
        places = self._chosen(number, step.share)
        for time in range(step.times):
            at_s = begin_s + (end_s - begin_s) * (time + 0.5) / step.times
            for place in places:
                yield Cue(at_s, number, place, Drop(False, 0.05 + rng.uniform(0, step.over_s), False, 0))

    def _chosen(self, number: int, share: float) -> list[int]:
        """The devices of this process among the users that a step's share has picked."""
        stage = self._stage
        users = len(stage.population.user_ids)
        count = max(1, round(users * share))
        picked = set(stage.seeded("chosen", number).sample(range(users), count))
        return [place for place in stage.mine if stage.population.devices[place].user in picked]
