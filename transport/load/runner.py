"""A run from start to end: prepare, connect, load, drain, audit, judge. All output goes through its view."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.transport.load.drain import Drain
from greenroom.transport.load.exit_codes import BadInput, Exit
from greenroom.transport.load.figures import Figures, Harness, Moment, Trial
from greenroom.transport.load.judge.judging import judge
from greenroom.transport.load.judge.recorder import read
from greenroom.transport.load.judge.verdict import FINDINGS
from greenroom.transport.load.meters import CpuMeter
from greenroom.transport.load.outcome import choose_exit_code, remarks
from greenroom.transport.load.part import LoadPart, LocalPart
from greenroom.transport.load.population import Population
from greenroom.transport.load.samples import ERRORS_KEPT, Totals
from greenroom.transport.load.share import Order
from greenroom.transport.load.target import shown_url
from greenroom.transport.load.thresholds import CapacitySearch, Measure, measures, saturation
from greenroom.transport.load.worker import RemotePart

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from greenroom.transport.load.judge.verdict import Verdict
    from greenroom.transport.load.live import View
    from greenroom.transport.load.scenario import Scenario
    from greenroom.transport.load.server_watch import ServerWatch
    from greenroom.transport.load.target import Target

__all__ = ["Runner"]

INTERVAL_S = 1.0
SHOWN = (50.0, 99.0, 100.0)
"""Percentiles of each second."""
START_DELAY_S = 0.2
"""Between `begin` and the first planned message, so that all processes are ready for it."""


class Runner:
    """One run. `interrupt` ends the load early; the messages sent up to then are drained, judged and reported."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        name: str,
        target: Target,
        view: View,
        watch: ServerWatch,
        history: Path,
        processes: int = 1,
        find_capacity: bool = False,
    ) -> None:
        self._scenario = scenario
        self._thresholds = scenario.thresholds
        self._target = target
        self._view = view
        self._watch = watch
        self._history = history
        self._processes = processes
        self._find_capacity = find_capacity
        self._stop = asyncio.Event()
        self._parts: list[LoadPart] = []
        self._run_totals = Totals()
        """Totals from the first login to the audit."""
        self._load_totals = Totals()
        """Totals of the load alone; in a capacity search, of the fastest trial that held."""
        self._load_cpu_share = 0.0
        """Share of one core that the busiest process of the harness used during that load."""
        self._best_trial = 0
        """Number of the trial at the capacity. 0: none, or no search."""
        self._pulled = 0
        """Number of conversations whose stored messages were pulled."""
        self._cpu = CpuMeter()
        self._rss_bytes = 0
        self._tag = secrets.token_hex(4)
        pace = scenario.pace
        self._figures = Figures(
            scenario=name,
            title=scenario.title,
            run=self._tag,
            began_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ws_url=shown_url(target.ws_url),
            api_url=shown_url(target.api_url),
            users=scenario.users,
            devices=scenario.users * len(scenario.client.platforms),
            rate_per_s=pace.rate_per_s if scenario.talks and pace.mode == "open" else 0.0,
            mode=pace.mode,
            hold_s=pace.hold_s,
            seed=scenario.seed,
        )

    @property
    def history_files(self) -> list[Path]:
        """The files of the history, one for each process."""
        if self._processes == 1:
            return [self._history]
        return [self._history.with_name(f"{self._history.name}.{part}") for part in range(self._processes)]

    def interrupt(self) -> None:
        self._stop.set()

    async def run(self) -> Figures:
        """Raises BadInput if the run cannot begin. The files of the history are kept; the caller may delete them."""
        population = Population(self._scenario, tag=self._tag)
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            tokens = await self._prepare(population, stopped)
            await self._make_parts(population, tokens)
            await self._connect(stopped)
            if not self._stop.is_set():
                if self._find_capacity:
                    await self._search(stopped)
                else:
                    await self._load(self._scenario.pace.rate_per_s, self._load_totals, stopped)
                    self._load_cpu_share = self._cpu.busiest_share
            self._figures.interrupted = self._stop.is_set()
            await self._drain()
        finally:
            stopped.cancel()
            await asyncio.gather(*(part.close() for part in self._parts), return_exceptions=True)
        self._view.phase("judging the history")
        findings = () if self._thresholds.times_in_order else FINDINGS
        verdict = await asyncio.to_thread(lambda: judge(read(self.history_files), findings=findings))
        return self._conclude(verdict)

    async def _prepare(self, population: Population, stopped: asyncio.Future[Any]) -> dict[str, str]:
        preparing = asyncio.ensure_future(self._target.prepare(population, progress=self._view.phase))
        try:
            await asyncio.wait({preparing, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if preparing.done():
                return preparing.result()
        finally:
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
        raise BadInput(Exit.INTERRUPTED, "interrupted before the load began: there is nothing to report")

    async def _make_parts(self, population: Population, tokens: dict[str, str]) -> None:
        for part, file in enumerate(self.history_files):
            names = [population.devices[place].of_token for place in population.share(part, self._processes)]
            order = Order(
                scenario=self._scenario,
                tag=self._tag,
                part=part,
                parts=self._processes,
                ws_url=self._target.ws_url,
                tokens={name: tokens[name] for name in names},
                history=str(file),
                ca=self._target.ca,
            )
            self._parts.append(LocalPart(order) if self._processes == 1 else await RemotePart.start(order))

    async def _connect(self, stopped: asyncio.Future[Any]) -> None:
        connecting = asyncio.ensure_future(asyncio.gather(*(part.connect() for part in self._parts)))
        both: set[asyncio.Future[Any]] = {connecting, stopped}
        try:
            while not connecting.done() and not stopped.done():
                await asyncio.wait(both, timeout=INTERVAL_S / 2, return_when=asyncio.FIRST_COMPLETED)
                moment = await self._take(self._run_totals)
                self._view.phase("connecting", moment.online, self._figures.devices)
            if connecting.done():
                connecting.result()
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
        if not self._run_totals.logins and not self._stop.is_set():
            reasons = ", ".join(self._run_totals.frequent_errors(2)) or "no answer"
            raise BadInput(Exit.UNREACHABLE, f"{self._figures.ws_url}: no user could log in: {reasons}")

    async def _load(
        self, rate_per_s: float, totals: Totals, stopped: asyncio.Future[Any], *, trial: int = 0
    ) -> None:
        pace = self._scenario.pace
        await self._take(self._run_totals)  # The counts up to now do not belong to the load.
        start_ns = time.monotonic_ns() + int(START_DELAY_S * 1e9)
        await asyncio.gather(*(part.begin(rate_per_s, pace.hold_s, start_ns) for part in self._parts))
        total_s = pace.ramp_s + pace.hold_s
        end = time.monotonic() + START_DELAY_S + total_s
        self._cpu.begin()
        while (remaining_s := end - time.monotonic()) > 0 and not stopped.done():
            timeout_s = INTERVAL_S if remaining_s > 1.5 * INTERVAL_S else remaining_s
            await asyncio.wait({stopped}, timeout=timeout_s)
            moment = await self._take(totals, self._run_totals)
            moment.trial = trial
            self._figures.moments.append(moment)
            self._view.moment(moment, totals, of_s=total_s)
        await asyncio.gather(*(part.end() for part in self._parts))
        deadline = time.monotonic() + self._scenario.client.request_timeout_s + 2 * INTERVAL_S
        in_flight = True
        while in_flight and time.monotonic() < deadline:
            in_flight = bool((await self._take(totals, self._run_totals)).in_flight)
            await asyncio.sleep(0.2 if in_flight else 0)
        self._cpu.end()

    async def _search(self, stopped: asyncio.Future[Any]) -> None:
        search = CapacitySearch(start_per_s=self._scenario.pace.rate_per_s)
        for number in itertools.count(1):
            if not search.rate or stopped.done():
                break
            rate, totals = search.rate, Totals()
            self._view.phase(f"trying {rate:g} messages/s")
            await self._load(rate, totals, stopped, trial=number)
            if stopped.done():
                break
            saturated = self._saturation(totals, self._cpu.busiest_share)
            held = bool(totals.acked) and not saturated and all(each.holds for each in self._measures(totals))
            self._figures.trials.append(
                Trial(
                    rate_per_s=rate,
                    held=held,
                    acked_per_s=self._measured(number, lambda moment: moment.acked_per_s),
                    ack_p99_ms=totals.ack.ladder_ms().get("99"),
                    delivery_p99_ms=totals.delivery.ladder_ms().get("99"),
                    failed=totals.failed,
                    saturated=saturated,
                )
            )
            search.report(held)
            if held and rate == search.highest_held:
                self._load_totals, self._load_cpu_share, self._best_trial = totals, self._cpu.busiest_share, number
        self._figures.capacity_per_s = search.highest_held

    async def _drain(self) -> None:
        devices = self._figures.devices

        def progress(behind: int, unseen: int) -> None:
            if behind or not unseen:
                self._view.phase("draining: devices that do not have all messages yet", behind, devices)
            else:
                self._view.phase(f"draining: {unseen} acked messages are not stored yet")

        self._view.phase("draining: waiting until the receivers have caught up")
        await asyncio.gather(*(part.end() for part in self._parts))
        limit_s = self._scenario.pace.drain_s
        drain = Drain(self._parts, limit_s=limit_s, take=lambda: self._take(self._run_totals))
        await drain.run(progress)
        self._figures.drained, self._figures.not_caught_up = drain.is_settled, drain.behind
        self._figures.drain_s = drain.took_s
        self._view.phase("pulling the messages that the server has stored")
        saturated = any(trial.saturated for trial in self._figures.trials) or bool(
            self._saturation(self._load_totals, self._load_cpu_share)
        )
        audits = (part.audit(drain.newest, saturated, drain.growing) for part in self._parts)
        self._pulled = sum(await asyncio.gather(*audits))
        await self._take(self._run_totals)

    async def _take(self, *totals: Totals) -> Moment:
        """Take a sample from each part, and add it to the totals. Returns the figures since the last sample."""
        samples = await asyncio.gather(*(part.sample() for part in self._parts))
        fresh = Totals()
        self._rss_bytes = max(self._rss_bytes, *(sample.rss_bytes for sample in samples))
        for sample in samples:
            for each in (fresh, *totals):
                each.add(sample)
        took_s, harness_share = self._cpu.take([sample.cpu_s for sample in samples])
        moment = Moment(
            at_s=round(max(sample.at_s for sample in samples), 3),
            planned_per_s=fresh.planned / took_s,
            acked_per_s=fresh.acked / took_s,
            received_per_s=fresh.received / took_s,
            failed_per_s=fresh.failed / took_s,
            online=sum(sample.online for sample in samples),
            in_flight=sum(sample.in_flight for sample in samples),
            unseen=sum(sample.unseen for sample in samples),
            ack_ms=fresh.ack.ladder_ms(SHOWN),
            delivery_ms=fresh.delivery.ladder_ms(SHOWN),
            lag_p99_ms=fresh.lag.percentile_ms(99),
            harness_cpu_share=harness_share,
        )
        figures = self._figures
        figures.connections = max(figures.connections, moment.online)
        if self._watch:
            server = self._watch.look()
            moment.server_cpu_share = self._cpu.server_share(server.cpu_s, took_s)
            moment.server_rss_bytes = server.rss_bytes
            figures.server_rss_peak_bytes = max(figures.server_rss_peak_bytes or 0, server.rss_bytes)
        return moment

    def _saturation(self, totals: Totals, cpu_share: float) -> str:
        return saturation(self._thresholds, lag_p99_ms=totals.lag.percentile_ms(99), cpu_share=cpu_share)

    def _measures(self, totals: Totals) -> list[Measure]:
        """The thresholds, applied to the totals of a load, but to all logins of the run."""
        judged = msgspec.structs.replace(totals, login=self._run_totals.login)
        figures = self._figures
        return measures(self._thresholds, judged, devices=figures.devices, connections=figures.connections)

    def _measured(self, trial: int, pick: Callable[[Moment], float]) -> float:
        """The mean over the seconds of a load at its full rate."""
        moments = [moment for moment in self._figures.moments if moment.trial == trial]
        moments = [moment for moment in moments if moment.at_s > self._scenario.pace.ramp_s] or moments
        return sum(map(pick, moments)) / len(moments) if moments else 0.0

    # The result

    def _conclude(self, verdict: Verdict) -> Figures:
        figures, run, load = self._figures, self._run_totals, self._load_totals
        figures.counts, figures.errors = run.counts(), run.frequent_errors(ERRORS_KEPT)
        latencies = {"ack": load.ack, "delivery": load.delivery, "login": run.login}
        figures.histograms = {name: each.encoded() for name, each in latencies.items()}
        figures.ack_ms, figures.delivery_ms, figures.login_ms = (each.ladder_ms() for each in latencies.values())
        figures.acked_per_s = self._measured(self._best_trial, lambda moment: moment.acked_per_s)
        figures.received_per_s = self._measured(self._best_trial, lambda moment: moment.received_per_s)
        messages = run.sent + run.received
        figures.harness = Harness(
            processes=self._processes,
            cpu_s=self._cpu.load_s,
            cpu_us_per_message=self._cpu.load_s / messages * 1e6 if messages else 0.0,
            busiest_cpu_share=self._load_cpu_share,
            rss_bytes=self._rss_bytes,
            lag_p50_ms=load.lag.percentile_ms(50),
            lag_p99_ms=load.lag.percentile_ms(99),
            lag_max_ms=load.lag.percentile_ms(100),
            saturated=self._saturation(load, self._load_cpu_share),
        )
        if self._watch:
            self._conclude_server()
        figures.verdict = msgspec.Raw(verdict.to_json())
        figures.remarks = remarks(verdict)
        figures.measures = self._measures(load)
        choose_exit_code(
            figures, verdict, is_search=self._find_capacity, talks=bool(self._scenario.talks), pulled=self._pulled
        )
        return figures

    def _conclude_server(self) -> None:
        figures, server_load_s = self._figures, self._cpu.server_load_s
        figures.server_cpu_s = server_load_s
        if figures.connections and figures.server_rss_peak_bytes:
            grown = figures.server_rss_peak_bytes - self._watch.rss_at_start
            figures.server_bytes_per_connection = grown / figures.connections
        if server_load_s:
            figures.server_messages_per_cpu_s = self._load_totals.acked / server_load_s
        if not self._watch.look().alive:
            figures.reasons.append("the server's process has ended")
