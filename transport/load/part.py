"""One process's part of a load test: its virtual users on their own actor runtime, and the audit at the end."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.base import LoopBase
from greenroom.transport.client.errors import ClientError
from greenroom.transport.load.conductor import Begin, Conductor
from greenroom.transport.load.judge import events
from greenroom.transport.load.meters import LagMeter
from greenroom.transport.load.plan import Connect, End
from greenroom.transport.load.share import LoadShare
from greenroom.transport.load.virtual_user import KIND, VirtualUser, address_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from greenroom.actors.wire import sdkws_pb2
    from greenroom.transport.client.device import Device
    from greenroom.transport.load.samples import Sample
    from greenroom.transport.load.share import Order

__all__ = ["LoadPart", "LocalPart"]

CONDUCTOR = Address("fixed", "conductor")
CONNECT_LIMIT_S = 15.0
"""How long to wait for the remaining logins after the last Connect was sent."""
AUDITS_AT_ONCE = 32
AUDIT_TRIES = 3
PAGE = 100
"""Maximum number of messages in one pull of the audit."""


class LoadPart(Protocol):
    """The runner's view of a part, which may be in this process or another. Times are on the monotonic clock."""

    async def connect(self) -> None:
        """Log in all users, at the scenario's pace. Returns when all are online, or CONNECT_LIMIT_S after the last
        Connect was sent."""

    async def begin(self, rate_per_s: float, hold_s: float, start_ns: int) -> None: ...

    async def end(self) -> None:
        """Plan no more actions, and reconnect the users whom the plan took offline."""

    async def sample(self) -> Sample: ...

    async def newest(self) -> dict[str, int]:
        """The conversations that this part audits, each with its newest seq according to the server. Those for which
        the server gave no answer are missing."""

    async def behind(self, newest: dict[str, int]) -> int:
        """Number of devices that are offline, do not have all messages up to these seqs, or have a conversation without
        a known newest seq."""

    async def audit(self, newest: dict[str, int], exempt_behind: bool, growing: bool) -> int:
        """Record the messages that the server has stored, and which devices were online at the end of the drain.
        Returns the number of conversations whose messages were pulled.

        newest: the newest seq of each conversation, as the server has just answered. Where the server gave no answer,
            nothing is recorded: a server that answers nobody is not accused of losses.
        exempt_behind: devices that are behind are not recorded, because the harness was the bottleneck.
        growing: newest seqs still grew when the drain ended.
        """

    async def close(self) -> None: ...


class LocalPart:
    """A part in this process."""

    def __init__(self, order: Order) -> None:
        share = self._share = LoadShare(order)
        self._base = LoopBase(asyncio.get_running_loop(), mailbox_alarm=1_000_000)
        self._base.register_kind(KIND, lambda place: VirtualUser(share, int(place)), idle_timeout_s=None)
        self._base.spawn(CONDUCTOR, lambda: Conductor(share))
        self._lag = LagMeter(lambda late_ns: share.sample.lag.record_ns(late_ns))
        self._start_ns = time.monotonic_ns()
        self._pulled = 0
        """Number of conversations that the audit has pulled."""

    async def connect(self) -> None:
        share, population = self._share, self._share.population
        for conversation_id, members in population.members.items():
            for user in members:
                if self._has(user):
                    share.recorder.record(events.MemberJoined(conversation_id, population.user_ids[user], 0))
        per_s = share.scenario.client.connects_per_s * len(share.places) / len(population.devices)
        started_ns = time.monotonic_ns()
        for number, place in enumerate(share.places):
            planned_ns = started_ns + int(number / per_s * 1e9)
            wait_s = (planned_ns - time.monotonic_ns()) / 1e9
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._base.tell(address_of(place), Connect(planned_ns))
        deadline = time.monotonic() + CONNECT_LIMIT_S
        while share.sample.online < len(share.places) and time.monotonic() < deadline:  # noqa: ASYNC110 (a count)
            await asyncio.sleep(0.05)

    async def begin(self, rate_per_s: float, hold_s: float, start_ns: int) -> None:
        self._start_ns = start_ns
        self._base.tell(CONDUCTOR, Begin(rate_per_s, hold_s, start_ns))

    async def end(self) -> None:
        self._base.tell(CONDUCTOR, End())
        await asyncio.sleep(0)

    async def sample(self) -> Sample:
        return self._share.take_sample(at_s=(time.monotonic_ns() - self._start_ns) / 1e9)

    async def close(self) -> None:
        self._lag.close()
        await self._base.shutdown(grace_s=10.0)
        self._share.recorder.close()

    # The drain and the audit

    async def newest(self) -> dict[str, int]:
        found: dict[str, int] = {}

        async def ask(device: Device, conversation_ids: list[str]) -> None:
            answered = await device.read_seqs(conversation_ids)
            for name in conversation_ids:  # A server may leave out a conversation without messages.
                found[name] = answered.get(name, (0, 0))[1]

        by_device: dict[Device, list[str]] = {}
        for conversation_id in self._own_conversations():
            device = self._member_online(conversation_id)
            if device is not None:
                by_device.setdefault(device, []).append(conversation_id)
        await _each([partial(ask, device, names) for device, names in by_device.items()])
        return found

    async def behind(self, newest: dict[str, int]) -> int:
        return sum(not self.has_all(place, newest) for place in self._share.places)

    async def audit(self, newest: dict[str, int], exempt_behind: bool, growing: bool) -> int:
        share = self._share
        now = time.monotonic_ns()
        if growing:
            share.recorder.record(events.StoreGrowing(now))
        for place in share.places:
            device = share.devices.get(place)
            is_here = device is not None and device.online and self._is_known(place, newest)
            if is_here and not (exempt_behind and not self.has_all(place, newest)):
                share.recorder.record(events.DeviceDrained(now, share.population.devices[place].in_history))
        self._pulled = 0
        own = [name for name in self._own_conversations() if name in newest]
        await _each([partial(self._pull_all, name, newest[name]) for name in own])
        if self._pulled or not own:
            users = range(len(share.population.user_ids))
            await _each([partial(self._ask_seqs, user) for user in users if self._has(user)])
        return self._pulled

    async def _pull_all(self, conversation_id: str, newest: int) -> None:
        device = self._member_online(conversation_id)
        if device is None:
            return
        raws: list[sdkws_pb2.MsgData] = []
        for begin in range(1, newest + 1, PAGE):
            end = begin + PAGE - 1
            raws += await _tried(partial(device.pull, conversation_id, begin=begin, end=end, limit=PAGE))
        for raw in raws:
            if raw.clientMsgID or raw.serverMsgID:  # Without ids it is a placeholder for a missing message.
                self._share.recorder.record(
                    events.StoredSeen(
                        conversation_id,
                        raw.seq,
                        raw.clientMsgID,
                        raw.serverMsgID,
                        raw.sendID,
                        raw.sendTime,
                        self._share.population.planned_ns_of(raw.clientMsgID) < 0,
                    )
                )
        self._share.recorder.record(events.StorePulled(conversation_id))
        self._pulled += 1

    async def _ask_seqs(self, user: int) -> None:
        device = self._device_online(user)
        conversation_ids = self._share.population.conversations_of.get(user)
        if device is None or not conversation_ids:
            return
        asked = time.monotonic_ns()
        seqs = await _tried(partial(device.read_seqs, conversation_ids))
        answered = time.monotonic_ns()
        for conversation_id, (read_seq, max_seq) in seqs.items():
            self._share.recorder.record(
                events.SeqsAnswered(asked, device.user_id, conversation_id, max_seq, read_seq, answered)
            )

    def _has(self, user: int) -> bool:
        return self._share.population.devices_of(user).start in self._share.places

    def _own_conversations(self) -> Iterable[str]:
        """The conversations that this part audits: those whose first member is in this part."""
        return (name for name, members in self._share.population.members.items() if self._has(members[0]))

    def _device_online(self, user: int) -> Device | None:
        for place in self._share.population.devices_of(user):
            device = self._share.devices.get(place)
            if device is not None and device.online:
                return device
        return None

    def _member_online(self, conversation_id: str) -> Device | None:
        members = self._share.population.members[conversation_id]
        return next((device for user in members if (device := self._device_online(user)) is not None), None)

    def _is_known(self, place: int, newest: dict[str, int]) -> bool:
        """Whether the newest seq of each of the device's conversations is known."""
        population = self._share.population
        return all(name in newest for name in population.conversations_of.get(population.devices[place].user, ()))

    def has_all(self, place: int, newest: dict[str, int]) -> bool:
        """Whether a device is online and has all messages up to these seqs, which must be known."""
        device, population = self._share.devices.get(place), self._share.population
        if device is None or not device.online or device.timelines.behind:
            return False
        synced = device.timelines.synced
        return all(
            conversation_id in newest and synced.get(conversation_id, 0) >= newest[conversation_id]
            for conversation_id in population.conversations_of.get(population.devices[place].user, ())
        )


async def _tried(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The answer, after at most AUDIT_TRIES attempts. Raises what the last attempt raised."""
    for remaining in reversed(range(AUDIT_TRIES)):
        try:
            return await ask()
        except (ClientError, TimeoutError):
            if not remaining:
                raise
            await asyncio.sleep(0.5)
    raise AssertionError


async def _each(jobs: list[Callable[[], Awaitable[None]]]) -> None:
    """Do all jobs, some at a time. A failed job leaves a gap in the history, which the judge reports. When as many have
    failed in a row as are done at a time, the server has stopped answering, and the remaining jobs are skipped."""
    waiting = iter(jobs)
    failures = 0

    async def work() -> None:
        nonlocal failures
        for job in waiting:
            try:
                await job()
            except (ClientError, TimeoutError):
                failures += 1
                if failures >= AUDITS_AT_ONCE:
                    return
            else:
                failures = 0

    await asyncio.gather(*(work() for _ in range(min(AUDITS_AT_ONCE, len(jobs)))))
