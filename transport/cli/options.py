"""The options that commands share: the node, and its secret."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from greenroom.persistence.addresses import Addresses
from greenroom.persistence.secret import find_secret
from greenroom.persistence.settings import Settings, load

__all__ = ["NO_SECRET", "UNREACHABLE", "CommandFailed", "NodeOptions", "secret_for"]

UNREACHABLE, NO_SECRET = 69, 77
"""Exit codes as in sysexits.h, and as `greenroom load` uses them."""


class CommandFailed(Exception):
    """A command cannot continue: one line for the user, and the exit code."""

    def __init__(self, line: str, *, exit_code: int = 1) -> None:
        super().__init__(line)
        self.exit_code = exit_code


_PACKAGED = load(environ={}).node


_OPTIONS = {
    "node.data_dir": "--data-dir",
    "node.host": "--host",
    "node.ws_port": "--ws-port",
    "node.api_port": "--api-port",
}
"""The options that override settings."""


def _default(key: str) -> str:
    return f"[default: {getattr(_PACKAGED, key)}]"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class NodeOptions:
    """The node that a command applies to."""

    config: Annotated[Path | None, Parameter(help="A settings file that overrides the packaged one.")] = None
    data_dir: Annotated[Path | None, Parameter(help=f"The node's folder. {_default('data_dir')}")] = None
    host: Annotated[str | None, Parameter(help=f"The address that the node listens on. {_default('host')}")] = None
    ws_port: Annotated[int | None, Parameter(help=f"Port of the WebSocket gateway. {_default('ws_port')}")] = None
    api_port: Annotated[int | None, Parameter(help=f"Port of the HTTP API. {_default('api_port')}")] = None

    def settings(self) -> Settings:
        """The settings in force with these options. Raises SettingsError."""
        node: dict[str, Any] = {
            "data_dir": None if self.data_dir is None else str(self.data_dir),
            "host": self.host,
            "ws_port": self.ws_port,
            "api_port": self.api_port,
        }
        return load(self.config, overrides={"node": node}, names=_OPTIONS)

    def of_running(self) -> Settings:
        """The same, with the addresses of the node that runs on the data directory, unless an option names others."""
        settings = self.settings()
        running = Addresses.find(Path(settings.node.data_dir))
        if running is None:
            return settings
        node = {
            "data_dir": settings.node.data_dir,
            "host": running.host if self.host is None else self.host,
            "ws_port": running.ws_port if self.ws_port is None else self.ws_port,
            "api_port": running.api_port if self.api_port is None else self.api_port,
        }
        return load(self.config, overrides={"node": node}, names=_OPTIONS)

    def as_typed(self) -> str:
        """The options with which another command finds this node, as a user would type them. The addresses of a running
        node are in its data directory."""
        given = {"--config": self.config, "--data-dir": self.data_dir}
        return "".join(f" {name} {shlex.quote(str(value))}" for name, value in given.items() if value is not None)


def secret_for(settings: Settings) -> str:
    """The node's secret. Raises CommandFailed if it does not exist yet, or cannot be read."""
    try:
        secret = find_secret(settings)
    except OSError as problem:
        text = f"the secret cannot be read: {problem.filename}: {problem.strerror}"
        raise CommandFailed(text, exit_code=NO_SECRET) from None
    if not secret:
        raise CommandFailed(
            f"there is no secret in {settings.node.data_dir}: start the node first (greenroom serve), "
            "say where its folder is (--data-dir), or set GREENROOM_SECRET",
            exit_code=NO_SECRET,
        )
    return secret
