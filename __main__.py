"""The command `greenroom`. Process-wide settings are made here, in `transport.cli.serve`, and while a copy is made in
`transport.cli.copying`, and nowhere else."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import uvloop

from greenroom.transport.cli.command import main as run_command
from greenroom.transport.cli.standard_streams import open_missing_streams

if TYPE_CHECKING:
    from greenroom.transport.cli.options import NodeOptions

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit."""
    open_missing_streams()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    sys.exit(run_command(sys.argv[1:], start_node=_start_node))


def _start_node(options: NodeOptions) -> int:
    """Run `greenroom serve`, with as many descriptors as the system allows. Raises SettingsError."""
    # Imported here, because they take 0.3 s and no other command needs them.
    from greenroom.supervisor import EngineFell, Node
    from greenroom.transport.cli.serve import serve
    from greenroom.transport.listening import raise_descriptor_limit

    raise_descriptor_limit()
    return serve(options, Node, fell=EngineFell)


if __name__ == "__main__":
    main()
