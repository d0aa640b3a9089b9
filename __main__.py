"""The command `greenroom`. Whatever is process-wide is set here, and only here."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.persistence.settings import Settings
    from greenroom.transport.cli.serve import Listening

__all__ = ["main"]

YOUNG_OBJECTS = 20_000
"""Allocations between collections of the youngest generation. A node makes many short-lived objects and
hardly any cycles: the default of 700 walks them for nothing."""


def main() -> None:
    """Run the command line and exit."""
    import uvloop

    from greenroom.transport.cli.serve import begin_anew, line_read, serve

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    line = line_read()
    if line is not None:
        sys.exit(serve(line, _run_node))

    from greenroom.transport.cli.command import main as run_command

    sys.exit(run_command(sys.argv[1:], start_node=begin_anew))


def _run_node(settings: Settings, *, on_start: Callable[[Listening], None]) -> int:
    return asyncio.run(_serve(settings, on_start))


async def _serve(settings: Settings, on_start: Callable[[Listening], None]) -> int:
    """Run a node until SIGTERM or SIGINT, then drain and stop it. Returns the exit code."""
    from greenroom.supervisor import EngineFell, Node

    node = Node(settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await node.start()
    except EngineFell as fall:
        print(f"greenroom: the node did not start: {fall}", file=sys.stderr)
        return 1
    node.fallen.add_done_callback(lambda _: stopped.set())
    gc.collect()
    gc.freeze()  # What is there now stays to the end: no collection needs to look at it.
    gc.set_threshold(YOUNG_OBJECTS, 50, 20)
    on_start(node)
    await stopped.wait()
    if node.fallen.done():
        print(f"greenroom: the node fell: {node.fallen.result()}", file=sys.stderr)
        return 1
    await node.drain()
    await node.stop()
    return 0


if __name__ == "__main__":
    main()
