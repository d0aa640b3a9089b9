"""What each exit code stands for, and that a run which ends badly still ends with a report."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.load_kit import SHORT, LoadRun, start_load, wait_load
from greenroom.tests.kit.node_kit import free_port

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.tests.kit.node_kit import NodeProcess

pytestmark = [pytest.mark.ci, pytest.mark.timeout(60)]


async def _run(folder: Path, *arguments: str, node: NodeProcess | None = None, secret: str = "") -> LoadRun:
    given = {"secret": secret} if secret else {}
    return await wait_load(
        await start_load(folder, *arguments, node=node, **given),
        folder,
        "one-to-one",
    )


async def _until(process: asyncio.subprocess.Process, word: str) -> list[bytes]:
    """Read lines until one has the word."""
    assert process.stdout is not None
    lines = []
    while line := await process.stdout.readline():
        lines.append(line)
        if word.encode() in line:
            break
    return lines


async def test_thresholds_that_do_not_hold(node: NodeProcess, tmp_path: Path) -> None:
    arguments = ("one-to-one", "--users", "4", "--rate", "20", *SHORT, "--set", "thresholds.ack_p99_ms=0.001")
    run = await _run(tmp_path, *arguments, node=node)
    assert run.code == 1, run.out + run.err
    assert "ack_p99_ms is" in run.out


async def test_saturated_harness(node: NodeProcess, tmp_path: Path) -> None:
    arguments = ("one-to-one", "--users", "4", "--rate", "20", *SHORT)
    run = await _run(
        tmp_path, *arguments, "--set", "thresholds.harness_lag_p99_ms=0.0001",
        "--set", "thresholds.ack_p99_ms=0.001", node=node,
    )  # fmt: skip
    assert run.code == 3, run.out + run.err
    assert "the harness was the bottleneck" in run.out
    assert "the server is not to blame" in run.out


async def test_server_killed_in_mid_run(node: NodeProcess, tmp_path: Path) -> None:
    arguments = ("one-to-one", "--users", "10", "--rate", "100", *SHORT[2:], "--for", "6s")
    process = await start_load(tmp_path, *arguments, node=node)
    await _until(process, "1.8/")
    node.kill()
    run = await wait_load(process, tmp_path, "one-to-one")
    assert run.code in (1, 2), run.out + run.err
    assert run.figures["counts"]["failed"] > 0
    assert "error_share" in run.out or run.code == 2
    assert run.html.is_file()


async def test_interrupt(node: NodeProcess, tmp_path: Path) -> None:
    process = await start_load(
        tmp_path, "one-to-one", "--users", "10", "--rate", "50", *SHORT[2:], "--for", "60s", node=node
    )
    await _until(process, "1.8/")
    process.send_signal(signal.SIGINT)
    run = await wait_load(process, tmp_path, "one-to-one")
    assert run.code == 5, run.out + run.err
    assert "Interrupted: these are the results up to then." in run.out
    assert "thresholds hold" not in run.out
    assert run.figures["interrupted"]
    assert run.figures["verdict"]["ok"]
    assert 0 < run.figures["counts"]["acked"] < 1000
    assert "Traceback" not in run.err


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('usrs = 3\n[[step]]\nkind = "direct"', "there is no key 'usrs'; did you mean 'users'?"),
        ('[pace]\nrate_pr_s = 3\n[[step]]\nkind = "direct"', "did you mean 'rate_per_s'?"),
        ('[[step]]\nkind = "dirct"', "did you mean 'direct'?"),
        ('[[step]]\nkind = "direct"\nwieght = 3', "did you mean 'weight'?"),
        ('users = "many"\n[[step]]\nkind = "direct"', "users: must be a whole number, not a text"),
        ("users = ", "bad.toml: not TOML: Invalid value"),
        ("users = 10", "there is no [[step]]"),
        ('users = 10\n[[step]]\nkind = "group"\nmembers = 11', "members: 2 to the number of users (10)"),
    ],
)
async def test_bad_scenario(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(text)
    run = await _run(tmp_path, "bad.toml")
    assert run.code == 64
    assert said in run.err
    assert run.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("one-to-on",), 64, "there is no scenario 'one-to-on'"),
        (("one-to-one", "--set", "dirct.weight=2"), 64, "did you mean 'direct'?"),
        (("one-to-one", "--set", "direct.weihgt=2"), 64, "did you mean 'weight'?"),
        (("one-to-one", "--set", "direct.weight=much"), 64, "[[step]] 1 weight: must be a number, not a text"),
        (("one-to-one", "--for", "long"), 64, "a time such as 30s"),
        (("one-to-one", "--users", "many"), 64, "many"),
        (("one-to-one", "--rate", "-1"), 64, "rate_per_s: more than 0"),
        (("one-to-one", "--ws", "http://x", "--api", "http://x"), 64, "is not a URL"),
        (("nothing.toml",), 66, "No such file"),
        (("one-to-one", "--html", "nowhere/x.html"), 66, "there is no such folder"),
    ],
)
async def test_bad_arguments(arguments: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    run = await _run(tmp_path, *arguments)
    assert run.code == code, run.out + run.err
    assert said in run.err
    assert run.err.count("\n") == 1


async def test_unreachable_server(tmp_path: Path) -> None:
    port = free_port()
    run = await _run(tmp_path, "one-to-one", "--api", f"http://127.0.0.1:{port}", "--ws", f"ws://127.0.0.1:{port}")
    assert run.code == 69
    assert "cannot be reached" in run.err
    assert run.err.count("\n") == 1


async def test_wrong_secret(node: NodeProcess, tmp_path: Path) -> None:
    run = await _run(tmp_path, "one-to-one", node=node, secret="not the secret of this one")
    assert run.code == 77
    assert "does not accept this secret" in run.err
    assert "not the secret" not in run.err
    assert run.err.count("\n") == 1


async def test_unreachable_gateway(node: NodeProcess, tmp_path: Path) -> None:
    run = await _run(tmp_path, "one-to-one", "--api", node.api_url, "--ws", f"ws://127.0.0.1:{free_port()}")
    assert run.code == 69
    assert "cannot be reached" in run.err


async def test_gateway_that_is_none(node: NodeProcess, tmp_path: Path) -> None:
    run = await _run(
        tmp_path, "one-to-one", "--users", "2", "--api", node.api_url, "--ws", node.api_url.replace("http", "ws")
    )
    assert run.code == 76, run.err
    assert "is not a gateway" in run.err
    assert run.err.count("\n") == 1


@pytest.mark.parametrize("body", ["<html>hello</html>", json.dumps({"hello": 1}), json.dumps({"errCode": 0})])
async def test_server_that_is_no_openim(body: str, tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        run = await _run(tmp_path, "one-to-one", "--api", f"http://127.0.0.1:{port}", "--ws", f"ws://127.0.0.1:{port}")
    finally:
        server.close()
    assert run.code == 76, run.err
    assert "is not an OpenIM server" in run.err
    assert run.err.count("\n") == 1


async def test_interrupt_before_the_load(node: NodeProcess, tmp_path: Path) -> None:
    process = await start_load(tmp_path, "one-to-one", "--users", "5000", node=node)
    await _until(process, "making tokens")
    process.send_signal(signal.SIGINT)
    run = await wait_load(process, tmp_path, "one-to-one")
    assert run.code == 130
    assert run.err == "greenroom: interrupted before the load began: there is nothing to report\n"
