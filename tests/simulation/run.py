"""Run seeds: `python -m greenroom.tests.simulation.run --seeds 300`, or one with its trace: `--seed 7 --trace FILE`."""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from pathlib import Path
from typing import Any

from greenroom.tests.simulation.planted import BUGS, planted
from greenroom.tests.simulation.world import World

__all__ = ["digest", "main"]


def digest(trace: list[tuple[Any, ...]]) -> str:
    """The digest of a trace. Two runs with the same digest did the same."""
    return hashlib.sha256("\n".join(map(repr, trace)).encode()).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="just this one")
    parser.add_argument("--trace", type=Path, help="where to write what happened")
    parser.add_argument("--bug", choices=BUGS, default="", help="plant this one first, and stop where it is found")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds) if options.seed is None else [options.seed]
    began, failed, events = time.process_time(), 0, 0
    for seed in seeds:
        world = World(seed)
        with planted(options.bug):
            violations = world.run()
        events += len(world.kernel.trace)
        if options.trace is not None:
            options.trace.write_text("".join(f"{line!r}\n" for line in world.kernel.trace))
        if options.seed is not None:
            print(f"seed {seed}: {len(world.kernel.trace)} events, trace {digest(world.kernel.trace)}")
        if violations:
            failed += 1
            print(f"seed {seed}: {len(violations)} violations", flush=True)
            for kind, detail in violations[:10]:
                print(f"    {kind}: {detail}")
            if options.bug and any(kind == BUGS[options.bug].kind for kind, _ in violations):
                break
    print(f"{len(seeds)} seeds, {events} events, {failed} failed; {time.process_time() - began:.1f} s of CPU")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
