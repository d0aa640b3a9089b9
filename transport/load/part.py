"""One process's part of a load: its virtual users on an actor runtime of their own, and the audit at the end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.base import LoopBase
from greenroom.transport.client.errors import ClientError
from greenroom.transport.load.conductor import Conductor, device_address
from greenroom.transport.load.device import PAGE, LoadDevice, LoadDevices
from greenroom.transport.load.judge.events import Drained, Joined, SeqsAnswered, StoredSeen, StorePulled
from greenroom.transport.load.judge.recorder import Recorder
from greenroom.transport.load.lag import LagMeter
from greenroom.transport.load.population import Population
from greenroom.transport.load.scenario import Scenario
from greenroom.transport.load.stage import Stage
from greenroom.transport.load.user_messages import Begin, Connect, End
from greenroom.transport.load.virtual_user import VirtualUser

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from greenroom.actors.wire import sdkws_pb2
    from greenroom.transport.load.tally import Sample

__all__ = ["LocalPart", "Order", "Part"]

CONDUCTOR = Address("fixed", "conductor")
AUDITS_AT_ONCE = 32
AUDIT_TRIES = 3
CONNECT_LIMIT_S = 15.0
"""After the last user was told to log in."""


class Order(msgspec.Struct, kw_only=True):
    """All that a process needs to know to play its part."""

    scenario: Scenario
    run: str
    part: int
    parts: int
    ws_url: str
    tokens: dict[str, str]
    """`user/platform` -> token, for the users of this part."""
    history: str

    def mine(self, devices: int) -> range:
        """The devices of this part: neighbours stay together, and pairs too."""
        per_user = len(self.scenario.client.platforms)
        pairs = (devices // per_user + 1) // 2
        first, last = (pairs * at // self.parts * 2 * per_user for at in (self.part, self.part + 1))
        return range(first, min(last, devices))


class Part(Protocol):
    """What the runner asks of a part, here or in another process. Times are of the machine's monotonic clock."""

    async def connect(self) -> None:
        """Have all users log in, at the scenario's pace; done when each has tried once or is in."""

    async def begin(self, rate_per_s: float, hold_s: float, start_ns: int) -> None: ...

    async def end(self) -> None:
        """Plan nothing more, bring everybody back."""

    async def sample(self) -> Sample: ...

    async def in_flight(self) -> int:
        """Messages without an answer yet."""

    async def newest(self) -> dict[str, int]:
        """Conversation -> its newest seq by the server, for those that this part asks about."""

    async def behind(self, newest: dict[str, int]) -> int:
        """How many devices have not got everything up to these seqs, those offline included."""

    async def audit(self, exempt_behind: bool) -> None:
        """Record what the server has, and who has waited to the end of the drain. `exempt_behind`: those that are
        behind are not held to it, since it is the harness that was too slow."""

    async def close(self) -> None: ...


class LocalPart:
    """A part in this process. See Part."""

    def __init__(self, order: Order) -> None:
        loop = asyncio.get_running_loop()
        population = Population(order.scenario, tag=order.run)
        self._devices = LoadDevices(order.ws_url, order.tokens)
        self._journal = Recorder(order.history)
        self._stage = Stage(
            scenario=order.scenario,
            population=population,
            mine=order.mine(len(population.devices)),
            run=order.run,
            devices=self._devices,
            journal=self._journal,
            clock=time.monotonic_ns,
            rng=random.Random(f"{order.scenario.seed}/{order.part}"),
        )
        self._base = LoopBase(loop, mailbox_alarm=1_000_000)
        stage = self._stage
        self._base.register_kind("virtual-user", lambda place: VirtualUser(stage, int(place)), idle_timeout_s=None)
        self._base.spawn(CONDUCTOR, lambda: Conductor(stage))
        self._lag = LagMeter(lambda nanoseconds: stage.tally.lag.record_ns(nanoseconds))
        self._start_ns = time.monotonic_ns()

    async def connect(self) -> None:
        stage, per_s = self._stage, self._stage.scenario.client.connects_per_s
        for conversation_id, members in stage.population.members.items():
            for user in members:
                if self._is_mine(user):
                    self._journal.record(Joined(conversation_id, stage.population.user_ids[user], 0))
        share = len(stage.mine) / max(1, len(stage.population.devices))
        began = time.monotonic_ns()
        for number, place in enumerate(stage.mine):
            planned_ns = began + int(number / (per_s * share) * 1e9)
            wait_s = (planned_ns - time.monotonic_ns()) / 1e9
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            self._base.tell(device_address(place), Connect(planned_ns))
        deadline = time.monotonic() + CONNECT_LIMIT_S
        while stage.tally.online < len(stage.mine) and time.monotonic() < deadline:  # noqa: ASYNC110 (a count)
            await asyncio.sleep(0.05)

    async def begin(self, rate_per_s: float, hold_s: float, start_ns: int) -> None:
        self._start_ns = start_ns
        self._base.tell(CONDUCTOR, Begin(rate_per_s, hold_s, start_ns))

    async def end(self) -> None:
        self._base.tell(CONDUCTOR, End())
        await asyncio.sleep(0)

    async def sample(self) -> Sample:
        return self._stage.tally.sample(
            at_s=(time.monotonic_ns() - self._start_ns) / 1e9,
            cpu_s=time.process_time(),
            rss_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        )

    async def in_flight(self) -> int:
        return self._stage.tally.in_flight

    async def newest(self) -> dict[str, int]:
        found: dict[str, int] = {}

        async def ask(device: LoadDevice, conversation_ids: list[str]) -> None:
            for name, (_, newest) in (await device.read_seqs(conversation_ids)).items():
                found[name] = max(found.get(name, 0), newest)

        by_device: dict[LoadDevice, list[str]] = {}
        for conversation_id in self._stage.population.members:
            device = self._asker(conversation_id)
            if device is not None:
                by_device.setdefault(device, []).append(conversation_id)
        await _each([partial(ask, device, names) for device, names in by_device.items()])
        return found

    async def behind(self, newest: dict[str, int]) -> int:
        return sum(not self._has_all(place, newest) for place in self._stage.mine)

    async def audit(self, exempt_behind: bool) -> None:
        newest = await self.newest()
        now = time.monotonic_ns()
        for place in self._stage.mine:
            name = self._stage.population.devices[place]
            device = self._devices.made.get(name)
            if device is not None and device.online and not (exempt_behind and not self._has_all(place, newest)):
                self._journal.record(Drained(now, name.text))
        pulls: list[Callable[[], Awaitable[None]]] = []
        for conversation_id, members in self._stage.population.members.items():
            if self._is_mine(members[0]):
                pulls.append(partial(self._pull_all, conversation_id, newest.get(conversation_id, 0)))
        await _each(pulls)
        await _each([partial(self._ask_seqs, user) for user in self._my_users()])

    async def close(self) -> None:
        self._lag.close()
        for device in self._devices.made.values():
            device.close()
        await asyncio.sleep(0.05)
        await self._base.shutdown(grace_s=10.0)
        self._journal.close()

    def _is_mine(self, user: int) -> bool:
        per_user = len(self._stage.scenario.client.platforms)
        return user * per_user in self._stage.mine

    def _my_users(self) -> list[int]:
        return [user for user in range(len(self._stage.population.user_ids)) if self._is_mine(user)]

    def _device_of(self, user: int) -> LoadDevice | None:
        """One that is online, or None."""
        devices, per_user = self._stage.population.devices, len(self._stage.scenario.client.platforms)
        for name in devices[user * per_user : (user + 1) * per_user]:
            device = self._devices.made.get(name)
            if device is not None and device.online:
                return device
        return None

    def _asker(self, conversation_id: str) -> LoadDevice | None:
        """Who asks about a conversation: a member who is online, in the part of its first member."""
        members = self._stage.population.members[conversation_id]
        if not self._is_mine(members[0]):
            return None
        return next((device for user in members if (device := self._device_of(user)) is not None), None)

    def _has_all(self, place: int, newest: dict[str, int]) -> bool:
        name = self._stage.population.devices[place]
        device = self._devices.made.get(name)
        if device is None or not device.online:
            return False
        return device.caught_up and all(
            device.seq_of(conversation_id) >= newest.get(conversation_id, 0)
            for conversation_id in self._stage.population.of_user.get(name.user, ())
        )

    async def _pull_all(self, conversation_id: str, newest: int) -> None:
        device = self._asker(conversation_id)
        if device is None:
            return
        raws: list[sdkws_pb2.MsgData] = []
        for begin in range(1, newest + 1, PAGE):
            raws.extend(await _tried(partial(device.pull, conversation_id, begin, begin + PAGE - 1)))
        for raw in raws:
            if raw.clientMsgID or raw.serverMsgID:  # Else it stands for a message that is not there.
                self._journal.record(
                    StoredSeen(
                        conversation_id,
                        raw.seq,
                        raw.clientMsgID,
                        raw.serverMsgID,
                        raw.sendID,
                        raw.sendTime,
                        self._stage.planned_ns_of(raw.clientMsgID) < 0,
                    )
                )
        self._journal.record(StorePulled(conversation_id))

    async def _ask_seqs(self, user: int) -> None:
        device = self._device_of(user)
        mine = self._stage.population.of_user.get(user)
        if device is None or not mine:
            return
        asked = time.monotonic_ns()
        seqs = await _tried(lambda: device.read_seqs(mine))
        answered = time.monotonic_ns()
        user_id = self._stage.population.user_ids[user]
        for conversation_id, (read_seq, max_seq) in seqs.items():
            self._journal.record(SeqsAnswered(asked, user_id, conversation_id, max_seq, read_seq, answered))


async def _tried(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The answer, asked a few times for it. Raises what the last try raised."""
    for left in reversed(range(AUDIT_TRIES)):
        try:
            return await ask()
        except (ClientError, TimeoutError):
            if not left:
                raise
            await asyncio.sleep(0.5)
    raise AssertionError


async def _each(jobs: list[Callable[[], Awaitable[None]]]) -> None:
    """Do all of them, some at once. One that fails leaves its gap: the judge says what it could not judge."""
    waiting = iter(jobs)

    async def work() -> None:
        for job in waiting:
            with contextlib.suppress(ClientError, TimeoutError):
                await job()

    await asyncio.gather(*(work() for _ in range(min(AUDITS_AT_ONCE, len(jobs)))))
