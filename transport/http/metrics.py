"""A node's counters in Prometheus' text format. Counts only: no secret, no id of a user or group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric

    from greenroom.actors.status import NodeStatus

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4.encode()

_BY_CLASS: Final = (
    ("awake", GaugeMetricFamily, "Actors that are awake"),
    ("quarantined", GaugeMetricFamily, "Actors that are not woken because they crashed repeatedly"),
    ("mailbox_high_water", GaugeMetricFamily, "Largest number of messages that ever waited in one mailbox"),
    ("messages", CounterMetricFamily, "Messages handled"),
    ("crashes", CounterMetricFamily, "Incarnations that ended with an exception"),
    ("sleeps", CounterMetricFamily, "Incarnations that ended in sleep"),
    ("unhandled", CounterMetricFamily, "Messages that the class has no handler for"),
)
"""The fields of ActorClass that are published."""
_BY_LANE: Final = (
    ("waiting_slices", GaugeMetricFamily, "Slices that wait for a batch"),
    ("batch_slices", GaugeMetricFamily, "Slices of the batch in flight"),
    ("batches", CounterMetricFamily, "Batches given to the store"),
)
"""The fields of LaneState that are published."""
_OF_STORE: Final = (
    ("slices_stored", "Slices that are durable"),
    ("slices_refused", "Slices refused by the store's rules: repeats, taken keys, old epochs"),
    ("slices_failed", "Slices that the store could not write"),
    ("slices_late", "Slices that the store did not answer within write_timeout_s"),
    ("reads_damaged", "Reads that found a damaged page"),
)
"""The fields of StoreState that are published."""

_LIMITED: Final = (
    ("sends", "Messages refused because their sender exceeded a limit"),
    ("changes", "Changes refused because the user exceeded a limit"),
    ("anonymous", "Requests without a valid token refused because their address exceeded a limit"),
    ("wrong_secrets", "Wrong admin secrets"),
)
"""The fields of LimitedState that are published."""


class Metrics(Collector):
    """The metrics page. All values are read when the page is requested; nothing is counted only for it."""

    def __init__(self, read_status: Callable[[], NodeStatus]) -> None:
        self._read_status = read_status
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)

    def render(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        status = self._read_status()
        yield GaugeMetricFamily("greenroom_connections", "Connections whose handshake succeeded", status.connections)
        yield CounterMetricFamily(
            "greenroom_sends_answered", "Messages stored, or only pushed; without repeats", status.sends_answered
        )
        yield CounterMetricFamily("greenroom_pushes", "Messages handed to connections", status.pushes)
        yield GaugeMetricFamily(
            "greenroom_store_failing", "1: the store's last answer failed or was late", float(status.store.is_failing)
        )
        for field, text in _LIMITED:
            yield CounterMetricFamily(f"greenroom_limited_{field}", text, getattr(status.limited, field))
        for field, text in _OF_STORE:
            yield CounterMetricFamily(f"greenroom_store_{field}", text, getattr(status.store, field))
        for field, family, text in _BY_LANE:
            metric = family(f"greenroom_lane_{field}", text, labels=("lane",))
            for lane in status.lanes:
                metric.add_metric((lane.name,), getattr(lane, field))
            yield metric
        restarts = CounterMetricFamily("greenroom_child_restarts", "Restarts of a fixed child", labels=("child",))
        for child, times in status.restarts.items():
            restarts.add_metric((child,), times)
        yield restarts
        for field, family, text in _BY_CLASS:
            metric = family(f"greenroom_actor_{field}", text, labels=("actor",))
            for actor in status.actors:
                metric.add_metric((actor.name,), getattr(actor, field))
            yield metric
