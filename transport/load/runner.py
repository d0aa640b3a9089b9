"""A run from end to end: prepare, connect, load, drain, audit, judge. It leaves printing to its view."""

from __future__ import annotations

import asyncio
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from greenroom.transport.load.bad_input import INTERRUPTED, UNREACHABLE, BadInput
from greenroom.transport.load.capacity import CapacitySearch
from greenroom.transport.load.cpu_meter import CpuMeter
from greenroom.transport.load.judge.judge import judge
from greenroom.transport.load.judge.recorder import read
from greenroom.transport.load.outcome import Exit, Harness, Moment, Outcome, Trial
from greenroom.transport.load.part import LocalPart, Order, Part
from greenroom.transport.load.population import Population
from greenroom.transport.load.remote_part import RemotePart
from greenroom.transport.load.tally import Totals
from greenroom.transport.load.verdicts import measures, saturation

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.transport.load.judge.verdict import Verdict
    from greenroom.transport.load.latency import Latencies
    from greenroom.transport.load.scenario import Scenario, Thresholds
    from greenroom.transport.load.server_watch import ServerWatch
    from greenroom.transport.load.target import Target

__all__ = ["Runner", "View"]

INTERVAL_S = 1.0
START_DELAY_S = 0.2
"""Between the word and the first planned message, so that all processes are ready for it."""
ALL_OFFLINE_LIMIT_S = 3.0
"""Nobody has a connection for so long after the load: the server is gone, and nothing more will come."""


class View(Protocol):
    """Where a run tells what it does."""

    def phase(self, text: str, done: int = 0, of: int = 0) -> None: ...

    def moment(self, moment: Moment, totals: Totals, *, of_s: float) -> None: ...


class Runner:
    """One run. `interrupt` ends the load early; what was done until then is drained, judged and reported."""

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
        self._target = target
        self._view = view
        self._watch = watch
        self._history = history
        self._processes = processes
        self._find_capacity = find_capacity
        self._stop = asyncio.Event()
        self._parts: list[Part] = []
        self._all = Totals()
        self._load_totals = Totals()
        self._cpu = CpuMeter()
        self._rss_bytes = 0
        self.run_tag = secrets.token_hex(4)
        pace = scenario.pace
        self.outcome = Outcome(
            scenario=name,
            title=scenario.title,
            run=self.run_tag,
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

    def interrupt(self) -> None:
        self._stop.set()

    async def run(self) -> Outcome:
        """Raises BadInput if it cannot begin. The history's files stay; the caller decides on them."""
        population = Population(self._scenario, tag=self.run_tag)
        tokens = await self._prepare(population)
        files = self.history_files
        try:
            await self._make_parts(population, tokens, files)
            await self._connect()
            if not self._stop.is_set():
                if self._find_capacity:
                    await self._search()
                else:
                    await self._load(self._scenario.pace.rate_per_s, self._load_totals)
            self.outcome.interrupted = self._stop.is_set()
            await self._drain()
        finally:
            await asyncio.gather(*(part.close() for part in self._parts), return_exceptions=True)
        self._view.phase("judging the history")
        verdict = await asyncio.to_thread(lambda: judge(read(files)))
        return self._conclude(verdict)

    async def _prepare(self, population: Population) -> dict[str, str]:
        preparing = asyncio.ensure_future(self._target.prepare(population, progress=self._view.phase))
        stopped = asyncio.ensure_future(self._stop.wait())
        both: set[asyncio.Future[Any]] = {preparing, stopped}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if preparing.done():
                return preparing.result()
        finally:
            for each in both:
                each.cancel()
            await asyncio.gather(*both, return_exceptions=True)
        raise BadInput(INTERRUPTED, "interrupted before the load began: there is nothing to report")

    @property
    def history_files(self) -> list[Path]:
        """One for each process."""
        if self._processes == 1:
            return [self._history]
        return [self._history.with_name(f"{self._history.name}.{part}") for part in range(self._processes)]

    async def _make_parts(self, population: Population, tokens: dict[str, str], files: list[Path]) -> None:
        for part, file in enumerate(files):
            order = Order(
                scenario=self._scenario,
                run=self.run_tag,
                part=part,
                parts=self._processes,
                ws_url=self._target.ws_url,
                tokens=tokens,
                history=str(file),
            )
            if self._processes == 1:
                self._parts.append(LocalPart(order))
            else:
                devices = [population.devices[place] for place in order.mine(len(population.devices))]
                names = [f"{device.user_id}/{device.platform_id}" for device in devices]
                order.tokens = {name: tokens[name] for name in names}
                self._parts.append(await RemotePart.start(order))

    async def _connect(self) -> None:
        connecting = asyncio.ensure_future(asyncio.gather(*(part.connect() for part in self._parts)))
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            while not connecting.done() and not self._stop.is_set():
                both: set[asyncio.Future[Any]] = {connecting, stopped}
                await asyncio.wait(both, timeout=INTERVAL_S / 2, return_when=asyncio.FIRST_COMPLETED)
                moment = await self._take(self._all)
                self._view.phase("connecting", moment.online, self.outcome.devices)
            if connecting.done():
                connecting.result()
        finally:
            stopped.cancel()
            connecting.cancel()
            await asyncio.gather(connecting, stopped, return_exceptions=True)
        if not self._all.counts["logins"] and not self._stop.is_set():
            reasons = ", ".join(reason for reason, _ in self._all.errors.most_common(2)) or "no answer"
            raise BadInput(UNREACHABLE, f"{self._target.ws_url}: no user could log in: {reasons}")

    async def _load(self, rate_per_s: float, totals: Totals) -> None:
        pace = self._scenario.pace
        await self._take(self._all)  # What belongs to the connecting is not the load's.
        start_ns = time.monotonic_ns() + int(START_DELAY_S * 1e9)
        await asyncio.gather(*(part.begin(rate_per_s, pace.hold_s, start_ns) for part in self._parts))
        total_s = pace.ramp_s + pace.hold_s
        end = time.monotonic() + START_DELAY_S + total_s
        self._cpu.begin()
        stopped = asyncio.ensure_future(self._stop.wait())
        try:
            while (left := end - time.monotonic()) > 0 and not self._stop.is_set():
                await asyncio.wait({stopped}, timeout=INTERVAL_S if left > 1.5 * INTERVAL_S else left)
                moment = await self._take(totals, self._all)
                self.outcome.moments.append(moment)
                self._view.moment(moment, totals, of_s=total_s)
            await asyncio.gather(*(part.end() for part in self._parts))
            deadline = time.monotonic() + self._scenario.client.request_timeout_s + 2 * INTERVAL_S
            while await self._in_flight() and time.monotonic() < deadline:
                await asyncio.wait({stopped}, timeout=0.2)
                if stopped.done():
                    await asyncio.sleep(0.2)
            await self._take(totals, self._all)
        finally:
            stopped.cancel()
        self._cpu.end()

    async def _search(self) -> None:
        search = CapacitySearch(start_per_s=self._scenario.pace.rate_per_s)
        best: Totals | None = None
        while search.rate and not self._stop.is_set():
            rate, totals = search.rate, Totals()
            self._view.phase(f"trying {rate:g} messages/s")
            await self._load(rate, totals)
            if self._stop.is_set():
                break
            saturated = self._saturation(totals)
            held = not saturated and all(measure.holds for measure in measures(self._limits, self._judged(totals)))
            self.outcome.trials.append(
                Trial(
                    rate_per_s=rate,
                    held=held,
                    ack_p99_ms=totals.ack.percentile_ms(99),
                    delivery_p99_ms=totals.delivery.percentile_ms(99),
                    failed=totals.counts["failed"],
                    saturated=saturated,
                )
            )
            search.took(held)
            if held:
                best = totals
        self._load_totals = best or Totals()
        self.outcome.capacity_per_s = search.held

    async def _drain(self) -> None:
        self._view.phase("draining: waiting until the receivers have caught up")
        await asyncio.gather(*(part.end() for part in self._parts))
        began = time.monotonic()
        last_online = began
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
            if (await self._take(self._all)).online:
                last_online = now
            self._view.phase("draining: devices that have not got everything yet", behind, self.outcome.devices)
            if now - began > self._scenario.pace.drain_s or now - last_online > ALL_OFFLINE_LIMIT_S:
                break
            await asyncio.sleep(0.2)
        self.outcome.drained, self.outcome.not_caught_up = not behind, behind
        self.outcome.drain_s = time.monotonic() - began
        self._view.phase("asking the server what it has stored")
        saturated = bool(self._saturation(self._load_totals))
        await asyncio.gather(*(part.audit(saturated) for part in self._parts))
        await self._take(self._all)

    async def _newest(self) -> dict[str, int]:
        newest: dict[str, int] = {}
        for found in await asyncio.gather(*(part.newest() for part in self._parts)):
            newest.update(found)
        return newest

    async def _in_flight(self) -> int:
        return sum(await asyncio.gather(*(part.in_flight() for part in self._parts)))

    async def _take(self, *totals: Totals) -> Moment:
        samples = await asyncio.gather(*(part.sample() for part in self._parts))
        fresh = Totals()
        self._rss_bytes = max(self._rss_bytes, *(sample.rss_bytes for sample in samples))
        for sample in samples:
            for each in (fresh, *totals):
                each.add(sample)
        took_s, harness_share = self._cpu.take([sample.cpu_s for sample in samples])
        server = self._watch.look() if self._watch else None
        moment = Moment(
            at_s=round(max(sample.at_s for sample in samples), 3),
            planned_per_s=fresh.counts["planned"] / took_s,
            acked_per_s=fresh.counts["acked"] / took_s,
            received_per_s=fresh.counts["received"] / took_s,
            failed_per_s=fresh.counts["failed"] / took_s,
            online=sum(sample.online for sample in samples),
            ack_ms=_few(fresh.ack),
            delivery_ms=_few(fresh.delivery),
            lag_p99_ms=fresh.lag.percentile_ms(99),
            harness_cpu_share=harness_share,
        )
        self.outcome.connections = max(self.outcome.connections, moment.online)
        if server is not None:
            moment.server_cpu_share = self._cpu.server_share(server.cpu_s, took_s)
            moment.server_rss_bytes = server.rss_bytes
            self.outcome.server_rss_peak_bytes = max(self.outcome.server_rss_peak_bytes or 0, server.rss_bytes)
        return moment

    @property
    def _limits(self) -> Thresholds:
        return self._scenario.thresholds

    def _saturation(self, totals: Totals) -> str:
        return saturation(self._limits, lag_p99_ms=totals.lag.percentile_ms(99), cpu_share=self._cpu.busiest_share)

    def _conclude(self, verdict: Verdict) -> Outcome:
        outcome, totals = self.outcome, self._load_totals
        outcome.counts = dict(self._all.counts)
        outcome.errors = dict(self._all.errors)
        outcome.ack_ms, outcome.delivery_ms = totals.ack.ladder_ms(), totals.delivery.ladder_ms()
        outcome.login_ms = self._all.login.ladder_ms()
        outcome.histograms = {
            "ack": totals.ack.encoded(),
            "delivery": totals.delivery.encoded(),
            "login": self._all.login.encoded(),
        }
        if outcome.moments:
            held = [moment for moment in outcome.moments if moment.at_s > self._scenario.pace.ramp_s] or outcome.moments
            outcome.acked_per_s = sum(moment.acked_per_s for moment in held) / len(held)
            outcome.received_per_s = sum(moment.received_per_s for moment in held) / len(held)
        messages = self._all.counts["sent"] + self._all.counts["received"]
        saturated = self._saturation(totals)
        outcome.harness = Harness(
            processes=self._processes,
            cpu_s=self._cpu.load_s,
            cpu_us_per_message=self._cpu.load_s / messages * 1e6 if messages else 0.0,
            busiest_cpu_share=self._cpu.busiest_share,
            rss_bytes=self._rss_bytes,
            lag_p50_ms=totals.lag.percentile_ms(50),
            lag_p99_ms=totals.lag.percentile_ms(99),
            lag_max_ms=totals.lag.percentile_ms(100),
            saturated=saturated,
        )
        if self._watch:
            last = self._watch.look()
            outcome.server_cpu_s = self._cpu.server_load_s
            if outcome.connections and outcome.server_rss_peak_bytes:
                grown = outcome.server_rss_peak_bytes - self._watch.rss_at_start
                outcome.server_bytes_per_connection = grown / outcome.connections
            if self._cpu.server_load_s:
                outcome.server_messages_per_cpu_s = totals.counts["acked"] / self._cpu.server_load_s
            if not last.alive:
                outcome.reasons.append("the server's process is gone")
        outcome.verdict = msgspec.Raw(verdict.to_json())
        outcome.measures = measures(self._limits, self._judged(totals))
        broken = [measure for measure in outcome.measures if not measure.holds]
        if not verdict.ok:
            outcome.exit_code = Exit.INCORRECT
            outcome.reasons += [f"{kind}: {count}" for kind, count in verdict.totals.items()]
        elif saturated:
            outcome.exit_code = Exit.HARNESS
            outcome.reasons.append(f"the harness was the bottleneck: {saturated}; the server is not to blame")
        elif self._find_capacity and not self.outcome.interrupted:
            self._conclude_search()
        elif broken:
            outcome.exit_code = Exit.NOT_HELD
            outcome.reasons += [f"{each.name} is {each.found:.4g}, more than {each.limit:g}" for each in broken]
        return outcome

    def _judged(self, totals: Totals) -> Totals:
        """What the thresholds are held against: the load's figures, and all logins."""
        together = Totals()
        together.ack, together.delivery, together.login = totals.ack, totals.delivery, self._all.login
        together.counts.update(totals.counts)
        together.counts["logins"] = self._all.counts["logins"]
        return together

    def _conclude_search(self) -> None:
        outcome = self.outcome
        if not outcome.capacity_per_s:
            outcome.exit_code = Exit.NOT_HELD
            outcome.reasons.append("the thresholds held at no rate that was tried")
        failed = [trial for trial in outcome.trials if not trial.held]
        if failed and (lowest := min(failed, key=lambda trial: trial.rate_per_s)).saturated:
            outcome.exit_code = Exit.HARNESS
            outcome.reasons.append(
                f"the search ended because the harness was the bottleneck: {lowest.saturated}; the server can do more"
            )


def _few(latencies: Latencies) -> dict[str, float]:
    return dict(zip(("50", "99", "100"), latencies.percentiles_ms((50, 99, 100)), strict=True))
