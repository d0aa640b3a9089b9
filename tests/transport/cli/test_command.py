from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.transport.cli.command import main

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.transport.cli.options import NodeOptions


def start_nothing(options: NodeOptions) -> int:
    options.settings()
    return 0


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("serv", 2, "serve"),
        ("serve --ws-port x", 2, "--ws-port"),
        ("serve --ws-port 70000", 2, "greenroom: --ws-port: [node] ws_port: 70000 is out of range (0 to 65535)"),
        ("serve --config nothing.toml", 2, "nothing.toml: No such file"),
        ("chat --as alice", 2, "--to"),
        ("token", 2, "--user"),
        ("token --user alice --data-dir nothing", 77, "start the node first"),
        ("check --data-dir nothing", 1, "not a folder"),
        ("status --jsn", 64, "--jsn"),
        ("status --data-dir nothing", 77, "start the node first"),
        ("load churn --users 30 --server-pid 4194305", 64, "--server-pid 4194305: there is no such process"),
        ("load churn --server-pid 0", 64, "--server-pid 0: there is no such process"),
    ],
)
def test_mistakes_get_one_line(
    line: str,
    code: int,
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GREENROOM_SECRET", raising=False)
    assert main(line.split(), start_node=start_nothing) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"], start_node=start_nothing) == 0
    assert "serve" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["serve", "token", "chat", "status", "load", "check", "backup", "restore", "judge"])
def test_help_of_a_command_has_no_option_that_nobody_needs(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--help"], start_node=start_nothing) == 0
    shown = capsys.readouterr().out
    assert "--empty" not in shown
    assert "--no-" not in shown
    assert "()" not in shown


async def greenroom(node: NodeProcess, *arguments: str, line: str = "") -> tuple[int | None, str, str]:
    """Run a command beside the node; (exit code, stdout, stderr)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "greenroom",
        *arguments,
        "--data-dir",
        str(node.data_dir),
        "--ws-port",
        str(node.ws_port),
        "--api-port",
        str(node.api_port),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "GREENROOM_SECRET": SECRET},
    )
    out, err = await asyncio.wait_for(process.communicate(line.encode()), 50)
    return process.returncode, out.decode(), err.decode()


@pytest.mark.timeout(60)
async def test_a_message_crosses(node: NodeProcess) -> None:
    code, _, said = await greenroom(node, "chat", "--as", "alice", "--to", "bob", line="hello bob\n")
    assert code == 0, said
    code, shown, said = await greenroom(node, "chat", "--as", "bob", "--to", "alice", line="")
    assert code == 0, said
    assert shown.rstrip().endswith(" alice: hello bob")


@pytest.mark.timeout(60)
async def test_token_of_a_new_user(node: NodeProcess) -> None:
    code, shown, said = await greenroom(node, "token", "--user", "carol")
    assert (code, shown) == (1, "")
    assert "1004" in said
    code, shown, said = await greenroom(node, "token", "--user", "carol", "--register")
    assert code == 0, said
    assert shown.count(".") == 2


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("redirected", "said"),
    [('> pipe & : < pipe; wait $!', ""), ("> /dev/full", "greenroom: No space left on device\n")],
)
async def test_output_that_nobody_reads(node: NodeProcess, redirected: str, said: str) -> None:
    """A reader such as `head` may end before the last line: this is no error to complain of, unlike a full disk."""
    command = f'"{sys.executable}" -m greenroom status --data-dir "{node.data_dir}" --api-port {node.api_port}'
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", f"mkfifo pipe; {command} {redirected}; echo $?", cwd=node.folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "GREENROOM_SECRET": SECRET},
    )  # fmt: skip
    out, err = await asyncio.wait_for(process.communicate(), 50)
    assert (out.decode(), err.decode()) == ("74\n", said)
