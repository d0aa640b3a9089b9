"""The faults of a run. Each seed has only a few kinds of faults, so that rare combinations are not drowned out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from greenroom.actors.runtime.address import Address
from greenroom.tests.simulation.device_socket import Gone
from greenroom.tests.simulation.disk import Faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from greenroom.tests.simulation.node import SimulatedNode
    from greenroom.tests.simulation.world import World

__all__ = ["Nemesis"]

HEIR_LOOKS, HEIR_LOOK_S = 2000, 0.0002
"""How often, and how far apart in virtual seconds, the next incarnation of a crashed entity is looked at."""


class Nemesis:
    """`rage` makes faults until the world heals."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = world.random
        kinds: list[Callable[[], Awaitable[None]]] = [
            self._cut, self._cut, self._crash_entity, self._crash_entity, self._crash_heir, self._bomb,
            self._crash_lane, self._kill_node, self._restart, self._step_clock,
        ]  # fmt: skip
        self.kinds = self.random.sample(kinds, self.random.randint(0, 5))
        world.note("faults", [kind.__name__ for kind in self.kinds])

    def disk_faults(self) -> Faults:
        random = self.random
        return Faults(
            commit_fails=random.choice([0, 0, 0.02, 0.2]),
            commit_delay_s=random.choice([0.0005, 0.005, 0.1]),
            commit_hangs=random.choice([0, 0, 0.02]),
            read_fails=random.choice([0, 0, 0.01]),
            read_waits=random.choice([0, 0.2]),
        )

    async def rage(self) -> None:
        world, random = self.world, self.random
        mean_s = random.choice([0.1, 0.5, 2.0])
        while not world.healing:
            await asyncio.sleep(random.expovariate(1 / mean_s))
            if self.kinds and not world.healing:
                await random.choice(self.kinds)()

    @property
    def _node(self) -> SimulatedNode | None:
        """The node, once it has actors."""
        node = self.world.node
        return node if node is not None and node.is_running else None

    async def _cut(self) -> None:
        links = list(self.world.network.links.values())
        if links:
            self.world.network.cut(self.random.choice(links), silent=self.random.random() < 0.3)

    async def _crash_entity(self) -> None:
        node = self._node
        if node is not None and (awake := node.entities(busy=self.random.random() < 0.7)):
            node.loop.call_soon(node.crash, self.random.choice(awake))

    async def _crash_heir(self) -> None:
        """Crash an entity while its slice is in flight, and its next incarnation once that has effects to run."""
        node = self._node
        if node is None or not (busy := node.entities(busy=True)):
            return
        entity = self.random.choice(busy)
        node.loop.call_soon(node.crash, entity)
        for _ in range(HEIR_LOOKS):
            await asyncio.sleep(HEIR_LOOK_S)
            if node.has_unrun_effects(entity):
                node.loop.call_soon(node.crash, entity)
                return

    async def _bomb(self) -> None:
        """The next actor that reads the clock fails in the middle of its turn."""
        self.world.clock.bomb = True

    async def _crash_lane(self) -> None:
        node = self._node
        if node is not None:
            lane = self.random.randrange(node.world.settings.store.lanes)
            node.loop.call_soon(node.crash, Address("fixed", f"lane-{lane}"))

    async def _kill_node(self) -> None:
        self.world.kill_node(pause_s=self.random.uniform(0.01, 1))

    async def _restart(self) -> None:
        """As a service manager does it: SIGTERM, wait for the end, start."""
        node = self._node
        if node is not None and node.is_ready:
            self.world.note("SIGTERM")
            try:
                await self.world.on_node(node, node.drain_and_stop())
            except Gone:
                return
            if self.world.node is node:
                self.world.kill_node()

    async def _step_clock(self) -> None:
        self.world.clock.error_ms = self.random.randint(-2000, 2000)
