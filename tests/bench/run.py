"""All benchmarks, one after another, in one table: min / median / max of repeats that were taken in turns.

    .venv/bin/python -m greenroom.tests.bench.run [--only NAME] [--quick]

A figure is a ratio to something else measured in the same run, or work per CPU-second of all processes of the
node: the machine may be busy with other things.
"""

from __future__ import annotations

import argparse
import platform
import time
from typing import TYPE_CHECKING

import uvloop

from greenroom.tests.bench import (
    actor_hops,
    at_rest,
    awake,
    connections,
    fan_out,
    http_calls,
    long_history,
    one_to_one,
    overload,
    receipts,
    sync,
)

if TYPE_CHECKING:
    from types import ModuleType

BENCHMARKS: dict[str, ModuleType] = {
    each.__name__.rpartition(".")[2]: each
    for each in (
        actor_hops, one_to_one, receipts, fan_out, connections, at_rest, http_calls, sync, awake, long_history,
        overload,
    )
}  # fmt: skip
"""Name -> module. Each has `figures(seconds=, repeats=)`, which returns its lines."""


async def run(only: str | None, *, seconds: float, repeats: int) -> None:
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, Python {platform.python_version()}, {platform.machine()}")
    print(f"{'figure':<52} {'min / median / max':>26}", flush=True)
    for name, each in BENCHMARKS.items():
        if only in (None, name):
            async for figure in each.figures(seconds=seconds, repeats=repeats):
                print(figure, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=BENCHMARKS)
    parser.add_argument("--quick", action="store_true", help="one short run of each: does it work?")
    options = parser.parse_args()
    if options.quick:
        uvloop.run(run(options.only, seconds=1.5, repeats=1))
    else:
        uvloop.run(run(options.only, seconds=5.0, repeats=3))


if __name__ == "__main__":
    main()
