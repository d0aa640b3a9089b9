"""What the virtual users of one process share."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from greenroom.transport.load.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.transport.load.device_protocols import Devices, Journal
    from greenroom.transport.load.population import Population
    from greenroom.transport.load.scenario import Scenario

__all__ = ["Stage"]


@dataclass(kw_only=True)
class Stage:
    """One process's part of a load. Made once, then only the tally changes."""

    scenario: Scenario
    population: Population
    mine: range
    """The devices of this process, by their place in the population."""
    run: str
    """Different in each run, so that no message has the id of one of another run."""
    devices: Devices
    journal: Journal
    clock: Callable[[], int]
    rng: random.Random
    tally: Tally = field(default_factory=Tally)

    def seeded(self, *names: object) -> random.Random:
        """A generator for one purpose: the same in each run with this seed."""
        return random.Random(f"{self.scenario.seed}/{'/'.join(map(str, names))}")

    def planned_ns_of(self, client_msg_id: str) -> int:
        """When a message of this run was planned; -1 if it is none of this run's."""
        run, _, rest = client_msg_id.partition("-")
        if run != self.run:
            return -1
        return int(rest.rpartition("-")[2], 16)
