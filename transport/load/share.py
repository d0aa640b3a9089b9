"""The order for one process of a load, and the state that its virtual users share."""

from __future__ import annotations

import random
import resource
import ssl
import time
from typing import TYPE_CHECKING

import msgspec

from greenroom.transport.client.link import Login
from greenroom.transport.client.ticker import Ticker
from greenroom.transport.load.judge.events import HistoryPart
from greenroom.transport.load.judge.recorder import Recorder
from greenroom.transport.load.population import Population
from greenroom.transport.load.samples import ERRORS_KEPT, Sample
from greenroom.transport.load.scenario import Scenario

if TYPE_CHECKING:
    from greenroom.transport.client.device import Device

__all__ = ["LoadShare", "Order", "tls_context"]


class Order(msgspec.Struct, kw_only=True):
    """All that a process must know for its part of the load."""

    scenario: Scenario
    tag: str
    part: int
    parts: int
    ws_url: str
    tokens: dict[str, str]
    """`user/platform` -> token, for the devices of this part."""
    history: str
    ca: str = ""
    """A PEM file of certificates to trust, besides the system's own; empty: none."""

    def __repr__(self) -> str:
        return f"Order(part={self.part}, parts={self.parts})"


def tls_context(ca: str) -> ssl.SSLContext | None:
    """What `ca` says to trust; None for the usual certificates. Raises OSError or ssl.SSLError."""
    if not ca:
        return None
    context = ssl.create_default_context()
    context.load_verify_locations(cafile=ca)
    return context


class LoadShare:
    """The devices of one process, the recorder of their events, and their counts."""

    def __init__(self, order: Order) -> None:
        self.scenario = order.scenario
        self.population = Population(order.scenario, tag=order.tag)
        self.places = self.population.share(order.part, order.parts)
        """The devices of this process, by their place in the population."""
        self.devices: dict[int, Device] = {}
        """Place -> device, for the devices that virtual users have made so far."""
        self.recorder = Recorder(order.history)
        self.recorder.record(HistoryPart(order.part, order.parts))
        self.rng = random.Random(f"{order.scenario.seed}/{order.part}")
        self.ticker = Ticker.shared()
        self.sample = Sample()
        """The counts since the last `take_sample`, which replaces this object: never keep a reference to it."""
        self.measured_from_ns = 0
        """Only messages planned at or after this time are measured. All messages are judged."""
        self._ws_url = order.ws_url
        self._tokens = order.tokens
        self._tls = tls_context(order.ca)

    def login(self, place: int) -> Login:
        name, client = self.population.devices[place], self.scenario.client
        return Login(
            ws_url=self._ws_url,
            user_id=name.user_id,
            token=self._tokens[name.of_token],
            platform_id=name.platform_id,
            encoding=client.envelope,
            compression=client.gzip,
            tls=self._tls,
        )

    def take_sample(self, *, at_s: float) -> Sample:
        """The counts since the last sample, with the current state of the process."""
        taken = self.sample
        self.sample = Sample(online=taken.online, in_flight=taken.in_flight, unseen=taken.unseen)
        taken.at_s = at_s
        taken.errors = taken.frequent_errors(ERRORS_KEPT)
        taken.cpu_s = time.process_time()
        taken.rss_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return taken
