"""Torture: a node under load is killed repeatedly, and the judge checks every promise.

    .venv/bin/python -m greenroom.tests.torture.run --kills 25 [--seed N] [--rate PER_S] [--limited]

The load is `greenroom load`'s own (scenario.toml), the arbiter `greenroom judge`'s. Exit code 0: nothing that was
acked is lost, duplicated or out of order, every member's device received it, and the data directory is sound.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import uvloop

from greenroom.persistence.sqlite.check import check
from greenroom.tests.kit.node_kit import LIMITED, SECRET, NodeProcess
from greenroom.tests.torture.kills import Killer
from greenroom.transport.load.judge.events import SendAcked
from greenroom.transport.load.judge.recorder import read
from greenroom.transport.load.runner import Runner
from greenroom.transport.load.scenario import with_values
from greenroom.transport.load.server_watch import ServerWatch
from greenroom.transport.load.target import Target

if TYPE_CHECKING:
    from greenroom.transport.load.figures import Figures, Moment
    from greenroom.transport.load.samples import Totals

__all__ = ["Result", "torture"]

NODE = "greenroom.tests.torture.node"
RATE_PER_S = 2400.0
"""The planned rate. Messages that were planned while the node was down are not sent later."""
DRAIN_S = 120.0
LOST = ("acked_not_stored", "acked_never_seen", "lost", "lost_unacked", "received_not_stored", "seq_gap")
DOUBLED = ("received_twice", "stored_twice", "seq_reused", "unstored_twice", "answers_differ")
DISORDERED = ("out_of_order", "time_back", "max_seq_back")
TOLD_EVERY = 25


@dataclass
class Result:
    seed: int
    kills: dict[str, int]
    acked: int
    received: int
    acked_per_s: float
    """The median over the times between two kills, including the time in which the clients reconnect."""
    totals: dict[str, int]
    """Kind -> number of violations that the judge found, or could not exclude."""
    held: int
    """Number of devices that had to receive all messages."""
    devices: int
    damage: list[str] = field(default_factory=list)
    """The findings of `greenroom check`."""

    @property
    def ok(self) -> bool:
        return not self.totals and not self.damage and self.held == self.devices and self.acked > 0

    def __str__(self) -> str:
        lost, doubled, disordered = (
            sum(self.totals.get(kind, 0) for kind in kinds) for kinds in (LOST, DOUBLED, DISORDERED)
        )
        ways = ", ".join(f"{count} {kind}" for kind, count in sorted(self.kills.items()))
        others = {kind: count for kind, count in self.totals.items() if kind not in (*LOST, *DOUBLED, *DISORDERED)}
        lines = [
            f"{sum(self.kills.values())} kills ({ways}), seed {self.seed}",
            f"{self.acked:,} messages acked, {self.acked_per_s:,.0f} a second between kills at the median",
            f"{self.received:,} receipts on {self.held} of {self.devices} devices",
            f"{lost} lost, {doubled} doubled, {disordered} disordered",
            *(f"and {count} {kind}" for kind, count in others.items()),
            *self.damage,
        ]
        return "\n".join(lines)


class _Quiet:
    """A view that shows only the phase of a run."""

    def __init__(self) -> None:
        self.loading = asyncio.Event()
        self.last = ""

    def phase(self, text: str, done: int = 0, of: int = 0) -> None:
        if text != self.last and not of:
            print(text, flush=True)
        self.last = text

    def moment(self, moment: Moment, totals: Totals, *, of_s: float) -> None:
        if moment.acked_per_s:
            self.loading.set()


async def torture(
    folder: Path,
    *,
    kills: int,
    seed: int,
    rate_per_s: float = RATE_PER_S,
    module: str = NODE,
    drain_s: float = DRAIN_S,
    limited: bool = False,
) -> Result:
    """`module` is run as `greenroom`. A node that has lost messages is waited for until `drain_s` has passed. With
    `limited`, the default limits apply, from which loopback is exempt otherwise. Raises RuntimeError if the node does
    not start again."""
    text = Path(__file__).with_name("scenario.toml").read_text()
    values = {"seed": str(seed), "pace.rate_per_s": str(rate_per_s), "pace.drain_s": str(drain_s)}
    node = NodeProcess(folder, module=module, env=LIMITED if limited else {})
    await node.start()
    killer, view = Killer(node, random.Random(seed)), _Quiet()
    runner = Runner(
        with_values(text, values, source="scenario.toml"),
        name="torture",
        target=Target(ws_url=node.ws_url, api_url=node.api_url, secret=SECRET, admin_id="imAdmin"),
        view=view,
        watch=ServerWatch(()),
        history=folder / "history",
    )
    running = asyncio.create_task(runner.run())
    try:
        await _first(view.loading.wait(), running)
        for number in range(1, kills + 1):
            await _first(killer.kill(), running)
            if number % TOLD_EVERY == 0:
                print(f"{number} kills", flush=True)
        await _first(asyncio.sleep(1.0), running)  # The last incarnation of the node is under load, too.
        runner.interrupt()
        outcome = await running
        await node.terminate()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        node.close()
    return _result(outcome, killer, seed, folder, node)


async def _first(step: Any, running: asyncio.Task[Figures]) -> None:
    """Await a step, unless the load ends before."""
    task = asyncio.ensure_future(step)
    await asyncio.wait({task, running}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        running.result()
        raise RuntimeError("the load ended by itself")
    task.result()


def _result(outcome: Figures, killer: Killer, seed: int, folder: Path, node: NodeProcess) -> Result:
    verdict = msgspec.json.decode(outcome.verdict)
    for violation in verdict["violations"]:
        print(violation)
    counts = verdict["counts"]
    starts = [since for since, _ in killer.load]
    acked = [0] * len(starts)
    for event in read([folder / "history"]):
        if type(event) is SendAcked:
            place = bisect.bisect(starts, event.at) - 1
            if place >= 0 and event.at <= killer.load[place][1]:
                acked[place] += 1
    rates = [count / (until - since) * 1e9 for count, (since, until) in zip(acked, killer.load, strict=True)]
    return Result(
        seed=seed,
        kills=dict(killer.kills),
        acked=counts["acked"],
        received=counts["received"],
        acked_per_s=statistics.median(rates),
        totals={**verdict["totals"], **verdict["undecided"]},
        held=counts["drained"],
        devices=counts["devices"],
        damage=[f"{finding.subject}: {finding.detail}" for finding in check(node.data_dir)],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--rate", type=float, default=RATE_PER_S, help="messages planned a second")
    parser.add_argument("--limited", action="store_true", help="keep the default limits; needs a lower --rate")
    parser.add_argument("--at-least", type=float, default=1000.0, help="acked a second, or the kills mean too little")
    given = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-torture-") as folder:
        result = uvloop.run(
            torture(
                Path(folder), kills=given.kills, seed=given.seed, rate_per_s=given.rate, limited=given.limited
            )
        )
    print(result)
    print(f"in {(time.monotonic() - began) / 60:.0f} minutes")
    if result.acked_per_s < given.at_least:
        sys.exit(f"fewer than {given.at_least:g} messages a second were acked: too little load to mean something")
    sys.exit(not result.ok)


if __name__ == "__main__":
    main()
