"""The command `greenroom`. Whatever is process-wide is set here, and only here."""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.persistence.settings import Settings
    from greenroom.transport.cli.command import Listening

__all__ = ["main"]

YOUNG_OBJECTS = 20_000
"""Allocations between collections of the youngest generation. A node makes many short-lived objects and
hardly any cycles: the default of 700 walks them for nothing."""


def main() -> None:
    """Run the command line and exit."""
    import uvloop

    from greenroom.transport.cli.command import main as run_command

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    sys.exit(run_command(sys.argv[1:], run_node=_run_node))


def _run_node(settings: Settings, *, on_start: Callable[[Listening], None]) -> int:
    from greenroom.supervisor import Node, run

    def started(node: Node) -> None:
        gc.collect()
        gc.freeze()  # What is there now stays to the end: no collection needs to look at it.
        gc.set_threshold(YOUNG_OBJECTS, 50, 20)
        on_start(node)

    return run(settings, on_start=started)


if __name__ == "__main__":
    main()
