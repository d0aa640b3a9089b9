"""The figures of a run, its verdict and its exit code, as they are written to the JSON and the HTML."""

from __future__ import annotations

import msgspec

from greenroom.transport.load.thresholds import Measure

__all__ = ["Figures", "Harness", "Moment", "Trial"]


class Moment(msgspec.Struct, kw_only=True):
    """The figures of about one second of a run."""

    at_s: float
    planned_per_s: float
    acked_per_s: float
    received_per_s: float
    failed_per_s: float
    online: int
    in_flight: int
    """Number of sends that are pending at the end of this second."""
    unseen: int = 0
    """Number of acked messages that their senders have not received yet."""
    trial: int = 0
    """The number of the trial in a capacity search, from 1. `at_s` begins again with each trial."""
    ack_ms: dict[str, float]
    """Percentile -> milliseconds: 50, 99, 100. Empty if nothing was measured."""
    delivery_ms: dict[str, float]
    lag_p99_ms: float
    harness_cpu_share: float
    """The CPU of all processes of the harness together, as a share of one core."""
    server_cpu_share: float | None = None
    server_rss_bytes: int | None = None


class Harness(msgspec.Struct, kw_only=True):
    """The cost of the harness itself, for comparison with its measurements."""

    processes: int
    cpu_s: float
    cpu_us_per_message: float
    """CPU per message that was sent, received or pulled during the load."""
    busiest_cpu_share: float
    rss_bytes: int
    """The highest memory of the largest process."""
    lag_p50_ms: float
    lag_p99_ms: float
    lag_max_ms: float
    saturated: str
    """Why the harness was the bottleneck; empty if it was not."""


class Trial(msgspec.Struct, kw_only=True):
    """The trial of one rate in a capacity search."""

    rate_per_s: float
    held: bool
    acked_per_s: float
    ack_p99_ms: float | None
    """None: nothing was measured."""
    delivery_p99_ms: float | None
    failed: int
    saturated: str


class Figures(msgspec.Struct, kw_only=True):
    scenario: str
    title: str
    run: str
    began_at: str
    ws_url: str
    api_url: str
    users: int
    devices: int
    rate_per_s: float
    mode: str
    hold_s: float
    seed: int
    interrupted: bool = False
    exit_code: int = 0
    reasons: list[str] = []
    """The reasons for the exit code, one line each."""
    remarks: list[str] = []
    """What the judge found that breaks no promise, and what it could not judge, one line each."""
    measures: list[Measure] = []
    counts: dict[str, int] = {}
    errors: dict[str, int] = {}
    ack_ms: dict[str, float] = {}
    """Percentile -> milliseconds. Empty if nothing was measured."""
    delivery_ms: dict[str, float] = {}
    login_ms: dict[str, float] = {}
    acked_per_s: float = 0.0
    received_per_s: float = 0.0
    drained: bool = False
    drain_s: float = 0.0
    not_caught_up: int = 0
    connections: int = 0
    """The highest number of connections at one time."""
    server_cpu_s: float | None = None
    server_rss_peak_bytes: int | None = None
    server_bytes_per_connection: float | None = None
    server_messages_per_cpu_s: float | None = None
    harness: Harness | None = None
    capacity_per_s: float | None = None
    trials: list[Trial] = []
    verdict: msgspec.Raw = msgspec.Raw(b"null")
    """The judge's verdict, as JSON."""
    history: str = ""
    histograms: dict[str, str] = {}
    """Latencies in microseconds, in the text form of HdrHistogram."""
    moments: list[Moment] = []
