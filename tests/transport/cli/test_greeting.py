"""What a served node says at its start: where it listens, and commands that can be pasted."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.settings import Settings
from greenroom.transport.cli.options import NodeOptions
from greenroom.transport.cli.serve import command_as_typed, greeting
from greenroom.transport.cli.urls import listening_urls

if TYPE_CHECKING:
    from greenroom.transport.cli.serve import ServedNode


class _Node:
    ws_port, api_port = 1, 2


def _lines(host: str = "127.0.0.1", data_dir: Path | None = None) -> list[str]:
    settings = Settings.load(environ={}, overrides={"node": {"host": host}})
    typed = NodeOptions(data_dir=data_dir).as_typed()
    node: ServedNode = _Node()  # type: ignore[assignment]
    return greeting(settings, node, command="bin/greenroom", options=typed).splitlines()


def test_node_on_the_loopback() -> None:
    assert _lines(data_dir=Path("my data")) == [
        "greenroom listens: ws://127.0.0.1:1 (WebSocket), http://127.0.0.1:2 (HTTP API)",
        "Chat from two more terminals:",
        "  bin/greenroom chat --as alice --to bob --data-dir 'my data'",
        "  bin/greenroom chat --as bob --to alice --data-dir 'my data'",
    ]


def test_node_that_is_open_to_the_network() -> None:
    assert _lines("0.0.0.0")[1] == "It listens on 0.0.0.0: it is open to the network, without TLS."
    assert listening_urls("0.0.0.0", 1, 2) == {"ws": "ws://0.0.0.0:1", "api": "http://0.0.0.0:2"}
    assert listening_urls("::", 1, 2) == {"ws": "ws://[::]:1", "api": "http://[::]:2"}


@pytest.mark.parametrize(
    ("started_as", "on_path", "command"),
    [
        (".venv/bin/greenroom", False, ".venv/bin/greenroom"),
        ("my bin/greenroom", False, "'my bin/greenroom'"),
        ("bin/greenroom", True, "greenroom"),
        ("/x/greenroom/__main__.py", False, f"{shlex.quote(sys.executable)} -m greenroom"),
    ],
)
def test_command_can_be_pasted(
    started_as: str, on_path: bool, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "greenroom"
    script.touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(script.parent) if on_path else str(tmp_path))
    monkeypatch.setattr(sys, "argv", [started_as, "serve"])
    assert command_as_typed() == command


def test_printed_command_runs() -> None:
    """As make run starts the node: by a path that is not on PATH."""
    script = Path(sys.executable).with_name("greenroom")
    code = f"import sys; sys.argv[0] = {str(script)!r}\nfrom greenroom.transport.cli.serve import command_as_typed\n"
    made = [sys.executable, "-c", f"{code}print(command_as_typed())"]
    printed = subprocess.run(made, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}).stdout
    done = subprocess.run(f"{printed.strip()} chat --help", shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--as" in done.stdout
