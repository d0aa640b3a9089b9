"""The command `greenroom`. Process-wide settings are made here and nowhere else."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING

import uvloop

from greenroom.transport.cli.command import main as run_command

if TYPE_CHECKING:
    from greenroom.persistence.settings import Settings
    from greenroom.transport.cli.options import NodeOptions

__all__ = ["main"]

log = logging.getLogger("greenroom")

_UNKNOWN_SHOWN = 10
"""Maximum number of unknown variables that are named."""
YOUNG_OBJECTS = 20_000
"""Number of allocations between two collections of the youngest generation. A node makes many short-lived objects and
almost no reference cycles, so the default of 700 costs CPU and frees nothing."""


def main() -> None:
    """Run the command line and exit."""
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    sys.exit(run_command(sys.argv[1:], start_node=_start_node))


def _start_node(options: NodeOptions) -> int:
    """Run `greenroom serve`. Raises SettingsError."""
    from greenroom.persistence.settings import unknown_variables
    from greenroom.transport.logs import configure

    settings = options.settings()
    configure(level=settings.node.log_level, style=settings.node.log_format)
    unknown = unknown_variables(os.environ)
    if unknown:
        log.warning("these variables are no settings, and are ignored: %s", ", ".join(unknown[:_UNKNOWN_SHOWN]))
    return asyncio.run(_serve(settings, options.as_typed()))


async def _serve(settings: Settings, typed: str) -> int:
    """Run a node until SIGTERM or SIGINT, then drain and stop it. Returns the exit code."""
    # Imported here, because they take 0.3 s and no other command needs them.
    from greenroom.supervisor import EngineFell, Node
    from greenroom.transport.cli.serve import greeting

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
    gc.freeze()  # The objects that exist now stay until the process ends, so collections may skip them.
    gc.set_threshold(YOUNG_OBJECTS, 50, 20)
    print(greeting(settings, node, options=typed), flush=True)
    await stopped.wait()
    if node.fallen.done():
        print(f"greenroom: the node failed: {node.fallen.result()}", file=sys.stderr)
        return 1
    await node.drain()
    await node.stop()
    return 0


if __name__ == "__main__":
    main()
