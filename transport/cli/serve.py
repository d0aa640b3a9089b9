"""`greenroom serve`: a node in a process of its own, from its start to its end by a signal."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shlex
import shutil
import signal
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from greenroom.persistence.addresses import Addresses
from greenroom.persistence.errors import StoreError
from greenroom.persistence.secret import is_loopback
from greenroom.persistence.settings import Settings, SettingsError, differences, unknown_variables
from greenroom.persistence.signals import FATAL
from greenroom.transport.cli.problems import complain
from greenroom.transport.cli.standard_streams import say
from greenroom.transport.cli.urls import api_url, listening_urls, ws_url
from greenroom.transport.logs import configure

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.transport.cli.options import NodeOptions
    from greenroom.transport.logs import Logs

__all__ = ["ServedNode", "command_as_typed", "greeting", "serve"]

log = logging.getLogger("greenroom")

STOPPING: Final = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU, signal.SIGPWR})
"""Signals that drain and stop the node. SIGHUP reloads; the other signals of `FATAL` are ignored."""
_RELOADED: Final = frozenset({"node.log_level"})
_UNKNOWN_SHOWN: Final = 10
"""Maximum number of unknown variables that are named."""
YOUNG_OBJECTS = 20_000
"""Number of allocations between two collections of the youngest generation. A node makes many short-lived objects and
almost no reference cycles, so the default of 700 costs CPU and frees nothing."""


class ServedNode(Protocol):
    """A node, as `supervisor.Node` is."""

    ws_port: int
    api_port: int

    @property
    def fallen(self) -> asyncio.Future[str]: ...
    async def start(self) -> None: ...
    async def drain(self) -> None: ...
    async def stop(self) -> None: ...


def serve(options: NodeOptions, make_node: Callable[[Settings], ServedNode], *, fell: type[Exception]) -> int:
    """Run a node until a signal stops it, and return the exit code. `fell` is what its start raises when it cannot be
    kept running. Raises SettingsError, and OSError if the log file cannot be opened."""
    settings = options.settings()
    node = settings.node
    try:
        logs = configure(level=node.log_level, style=node.log_format, file=node.log_file)
    except OSError as problem:
        raise OSError(problem.errno, f"node.log_file: {node.log_file}: {problem.strerror or problem}") from None
    try:
        return asyncio.run(_Run(options, settings, logs).until_stopped(make_node, fell))
    finally:
        logs.close()


class _Run:
    """One run of a node."""

    def __init__(self, options: NodeOptions, settings: Settings, logs: Logs) -> None:
        self._options = options
        self._settings = settings
        self._logs = logs
        self._stopped = asyncio.Event()
        self._folder = Path(settings.node.data_dir).absolute()

    async def until_stopped(self, make_node: Callable[[Settings], ServedNode], fell: type[Exception]) -> int:
        settings, options = self._settings, self._options
        self._handle_signals()
        if unknown := unknown_variables(os.environ):
            log.warning("these variables are no settings, and are ignored: %s", ", ".join(unknown[:_UNKNOWN_SHOWN]))
        log.info("start", extra={"version": version("greenroom"), "settings": differences(settings)})
        node = make_node(settings)
        try:
            if not await self._start(node):
                log.info("stopped")
                return 0
        except fell as fall:
            return complain(f"the node did not start: {fall}", 1)
        node.fallen.add_done_callback(lambda _: self._stopped.set())
        gc.collect()
        gc.freeze()  # The objects that exist now stay until the process ends, so collections may skip them.
        gc.set_threshold(YOUNG_OBJECTS, 50, 20)
        try:
            Addresses(settings.node.host, node.ws_port, node.api_port).publish(self._folder)
        except (OSError, StoreError) as problem:  # The node serves; only commands without ports do not find it.
            log.warning("the addresses cannot be written to the data directory: %s", problem)
        urls = listening_urls(settings.node.host, node.ws_port, node.api_port)
        log.info("listening", extra={**urls, "data_dir": str(self._folder)})
        if notice := _exposure(settings.node.host):
            log.warning("%s", notice)
        say(greeting(settings, node, command=command_as_typed(), options=options.as_typed()))
        await self._stopped.wait()
        Addresses.withdraw(self._folder)
        if node.fallen.done():
            return complain(f"the node failed: {node.fallen.result()}", 1)
        log.info("draining")
        await node.drain()
        await node.stop()
        log.info("stopped")
        return 0

    async def _start(self, node: ServedNode) -> bool:
        """Start the node. False: a signal has ended the start."""
        starting, stopped = asyncio.ensure_future(node.start()), asyncio.ensure_future(self._stopped.wait())
        await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not starting.done():
            starting.cancel()
            await asyncio.wait((starting,))
        if starting.cancelled():
            return False
        starting.result()
        return True

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in STOPPING:
            loop.add_signal_handler(number, self._stopped.set)
        # A terminal that closes sends SIGHUP, too: then nobody can stop the node from it any more.
        has_terminal = os.isatty(0)
        loop.add_signal_handler(signal.SIGHUP, self._stopped.set if has_terminal else self._reload)
        for number in FATAL - STOPPING - {signal.SIGHUP}:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, signal.SIG_IGN)

    def _reload(self) -> None:
        """Apply the settings that can change while the node runs. The logged line opens a moved log file again."""
        try:
            settings = self._options.settings()
        except SettingsError as problem:
            log.error("the settings were not reloaded: %s", problem)
            return
        changed = differences(settings, self._settings)
        self._logs.set_level(settings.node.log_level)
        log.info("reloaded", extra={"settings": {name: changed[name] for name in changed.keys() & _RELOADED}})
        if later := sorted(changed.keys() - _RELOADED):
            log.warning("these settings need a restart: %s", ", ".join(later))


def greeting(settings: Settings, node: ServedNode, *, command: str, options: str) -> str:
    """The node's URLs, and the commands for a chat. `command` starts this program from a shell; `options` are those
    that the user typed, and a client needs them."""
    ws, api = ws_url(settings, node.ws_port), api_url(settings, node.api_port)
    notice = _exposure(settings.node.host)
    lines = [
        f"greenroom listens: {ws} (WebSocket), {api} (HTTP API)",
        *([f"{notice[0].upper()}{notice[1:]}."] if notice else []),
        "Chat from two more terminals:",
        f"  {command} chat --as alice --to bob{options}",
        f"  {command} chat --as bob --to alice{options}",
    ]
    return "\n".join(lines)


def command_as_typed() -> str:
    """The command with which a user of the same shell and folder can start this program."""
    name = os.path.basename(sys.argv[0])
    if name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m greenroom"
    found = shutil.which(name)
    is_on_path = found is not None and os.path.realpath(found) == os.path.realpath(sys.argv[0])
    return shlex.quote(name if is_on_path else sys.argv[0])


def _exposure(host: str) -> str:
    """Empty for a node that only listens on the loopback."""
    return "" if is_loopback(host) else f"it listens on {host}: it is open to the network, without TLS"
