"""A run from start to end: prepare, connect, load, drain, audit, judge. All output goes through its view."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from greenroom.transport.load.exit_codes import BadInput, Exit
from greenroom.transport.load.figures import Figures, Harness, Moment, Trial
from greenroom.transport.load.judge.judging import judge
from greenroom.transport.load.judge.recorder import read
from greenroom.transport.load.meters import CpuMeter
from greenroom.transport.load.part import LoadPart, LocalPart
from greenroom.transport.load.population import Population
from greenroom.transport.load.samples import ERRORS_KEPT, Totals
from greenroom.transport.load.share import Order
from greenroom.transport.load.thresholds import CapacitySearch, measures, saturation
from greenroom.transport.load.worker import RemotePart

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.transport.load.judge.verdict import Verdict
    from greenroom.transport.load.latency import Latencies
    from greenroom.transport.load.live import View
    from greenroom.transport.load.scenario import Scenario
    from greenroom.transport.load.server_watch import ServerWatch
    from greenroom.transport.load.target import Target

__all__ = ["Runner"]

INTERVAL_S = 1.0
START_DELAY_S = 0.2
"""Between `begin` and the first planned message, so that all processes are ready for it."""
ALL_OFFLINE_LIMIT_S = 3.0
"""If no device has been online for this long during the drain, the server is down and no more messages will arrive."""


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
        self._cpu = CpuMeter()
        self._rss_bytes = 0
        self._tag = secrets.token_hex(4)
        pace = scenario.pace
        self._figures = Figures(
            scenario=name,
            title=scenario.title,
            run=self._tag,
            began_at=datetime.now(UTC).isoformat(timespec="seconds"),
            ws_url=target.ws_url,
            api_url=target.api_url,
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
            self._figures.interrupted = self._stop.is_set()
            await self._drain()
        finally:
            stopped.cancel()
            await asyncio.gather(*(part.close() for part in self._parts), return_exceptions=True)
        self._view.phase("judging the history")
        verdict = await asyncio.to_thread(lambda: judge(read(self.history_files)))
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
            raise BadInput(Exit.UNREACHABLE, f"{self._target.ws_url}: no user could log in: {reasons}")

    async def _load(self, rate_per_s: float, totals: Totals, stopped: asyncio.Future[Any]) -> None:
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
        while search.rate and not stopped.done():
            rate, totals = search.rate, Totals()
            self._view.phase(f"trying {rate:g} messages/s")
            await self._load(rate, totals, stopped)
            if stopped.done():
                break
            saturated = self._saturation(totals)
            held = not saturated and all(measure.holds for measure in measures(self._thresholds, self._judged(totals)))
            self._figures.trials.append(
                Trial(
                    rate_per_s=rate,
                    held=held,
                    ack_p99_ms=totals.ack.percentile_ms(99),
                    delivery_p99_ms=totals.delivery.percentile_ms(99),
                    failed=totals.failed,
                    saturated=saturated,
                )
            )
            search.report(held)
            if held:
                self._load_totals = totals
        self._figures.capacity_per_s = search.highest_held

    async def _drain(self) -> None:
        self._view.phase("draining: waiting until the receivers have caught up")
        await asyncio.gather(*(part.end() for part in self._parts))
        started_at = last_online_at = time.monotonic()
        newest = await self._newest()
        while True:
            behind = sum(await asyncio.gather(*(part.behind(newest) for part in self._parts)))
            if not behind:
                newer = await self._newest()
                if newer == newest:
                    break
                newest = newer
                continue
            now = time.monotonic()
            if (await self._take(self._run_totals)).online:
                last_online_at = now
            self._view.phase("draining: devices that do not have all messages yet", behind, self._figures.devices)
            if now - started_at > self._scenario.pace.drain_s or now - last_online_at > ALL_OFFLINE_LIMIT_S:
                break
            await asyncio.sleep(0.2)
        self._figures.drained, self._figures.not_caught_up = not behind, behind
        self._figures.drain_s = time.monotonic() - started_at
        self._view.phase("pulling the messages that the server has stored")
        saturated = bool(self._saturation(self._load_totals))
        await asyncio.gather(*(part.audit(saturated) for part in self._parts))
        await self._take(self._run_totals)

    async def _newest(self) -> dict[str, int]:
        newest: dict[str, int] = {}
        for found in await asyncio.gather(*(part.newest() for part in self._parts)):
            newest.update(found)
        return newest

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
            ack_ms=_few(fresh.ack),
            delivery_ms=_few(fresh.delivery),
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

    def _saturation(self, totals: Totals) -> str:
        lag_p99_ms = totals.lag.percentile_ms(99)
        return saturation(self._thresholds, lag_p99_ms=lag_p99_ms, cpu_share=self._cpu.busiest_share)

    def _judged(self, totals: Totals) -> Totals:
        """The totals that the thresholds apply to: those of the load, but with all logins of the run."""
        return msgspec.structs.replace(totals, login=self._run_totals.login, logins=self._run_totals.logins)

    # The result

    def _conclude(self, verdict: Verdict) -> Figures:
        figures, run, load = self._figures, self._run_totals, self._load_totals
        figures.counts, figures.errors = run.counts(), run.frequent_errors(ERRORS_KEPT)
        latencies = {"ack": load.ack, "delivery": load.delivery, "login": run.login}
        figures.histograms = {name: each.encoded() for name, each in latencies.items()}
        figures.ack_ms, figures.delivery_ms, figures.login_ms = (each.ladder_ms() for each in latencies.values())
        if figures.moments:
            ramp_s = self._scenario.pace.ramp_s
            measured = [moment for moment in figures.moments if moment.at_s > ramp_s] or figures.moments
            figures.acked_per_s = sum(moment.acked_per_s for moment in measured) / len(measured)
            figures.received_per_s = sum(moment.received_per_s for moment in measured) / len(measured)
        messages = run.sent + run.received
        figures.harness = Harness(
            processes=self._processes,
            cpu_s=self._cpu.load_s,
            cpu_us_per_message=self._cpu.load_s / messages * 1e6 if messages else 0.0,
            busiest_cpu_share=self._cpu.busiest_share,
            rss_bytes=self._rss_bytes,
            lag_p50_ms=load.lag.percentile_ms(50),
            lag_p99_ms=load.lag.percentile_ms(99),
            lag_max_ms=load.lag.percentile_ms(100),
            saturated=self._saturation(load),
        )
        if self._watch:
            self._conclude_server()
        figures.verdict = msgspec.Raw(verdict.to_json())
        figures.measures = measures(self._thresholds, self._judged(load))
        self._choose_exit_code(verdict, figures.harness.saturated)
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

    def _choose_exit_code(self, verdict: Verdict, saturated: str) -> None:
        figures = self._figures
        broken = [measure for measure in figures.measures if not measure.holds]
        if not verdict.ok:
            figures.exit_code = Exit.INCORRECT
            figures.reasons += [f"{kind}: {count}" for kind, count in verdict.totals.items()]
        elif saturated:
            figures.exit_code = Exit.HARNESS
            figures.reasons.append(f"the harness was the bottleneck: {saturated}; the server is not to blame")
        elif self._find_capacity and not figures.interrupted:
            self._choose_exit_code_of_search()
        elif broken:
            figures.exit_code = Exit.NOT_HELD
            figures.reasons += [f"{each.name} is {each.found:.4g}, more than {each.limit:g}" for each in broken]

    def _choose_exit_code_of_search(self) -> None:
        figures = self._figures
        if not figures.capacity_per_s:
            figures.exit_code = Exit.NOT_HELD
            figures.reasons.append("the thresholds held at no rate that was tried")
        failed = [trial for trial in figures.trials if not trial.held]
        if failed and (lowest := min(failed, key=lambda trial: trial.rate_per_s)).saturated:
            figures.exit_code = Exit.HARNESS
            figures.reasons.append(
                f"the search ended because the harness was the bottleneck: {lowest.saturated}; the server can do more"
            )


def _few(latencies: Latencies) -> dict[str, float]:
    return dict(zip(("50", "99", "100"), latencies.percentiles_ms((50, 99, 100)), strict=True))
