"""`greenroom chat` as a user runs it, on a pipe: what it sends, what it shows, and its exit code.

With NODE_UNDER_TEST, the command and the node of that checkout are tried.
"""

from __future__ import annotations

import asyncio
import os

import pytest

from greenroom.tests.kit.node_kit import NODE_PYTHON, SECRET, NodeProcess, free_port
from greenroom.transport.client.api import Api

pytestmark = pytest.mark.timeout(90)


async def _chat(
    node: NodeProcess, *arguments: str, piped: bytes = b"", ws_port: int = 0
) -> tuple[int | None, str, str]:
    """(exit code, stdout, stderr)"""
    process = await asyncio.create_subprocess_exec(
        NODE_PYTHON, "-m", "greenroom", "chat", *arguments, "--data-dir", str(node.data_dir),
        "--ws-port", str(ws_port or node.ws_port), "--api-port", str(node.api_port),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "GREENROOM_SECRET": SECRET}, cwd=node.folder,
    )  # fmt: skip
    try:
        out, err = await asyncio.wait_for(process.communicate(piped), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, out.decode(), err.decode()


async def test_line_that_is_not_utf8_is_refused_and_the_others_are_sent(node: NodeProcess) -> None:
    code, _, said = await _chat(node, "--as", "alice", "--to", "bob", piped=b"one\n\xff\xfe two\nthree\n")
    assert code == 1, said
    assert "(not sent: the line is not valid UTF-8)" in said
    assert "Traceback" not in said
    _, shown, _ = await _chat(node, "--as", "bob", "--to", "alice")
    assert [line.rpartition(" ")[2] for line in shown.splitlines()] == ["one", "three"]


async def test_joiners_are_kept_and_controls_are_not(node: NodeProcess) -> None:
    family, persian = "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
    text = f"{family} {persian} \x1b[31m\u202ered\u2066 \U0001fae8"
    code, _, said = await _chat(node, "--as", "alice", "--to", "bob", piped=f"{text}\n".encode())
    assert code == 0, said
    _, shown, _ = await _chat(node, "--as", "bob", "--to", "alice")
    assert shown.rstrip("\n").endswith(f" alice: {family} {persian}  [31m red  \U0001fae8")


async def test_refused_message_of_a_pipe_is_a_failure(node: NodeProcess) -> None:
    await node.tokens("alice", "bob")
    async with Api(node.api_url) as api:
        admin = await api.admin_token(SECRET)
        await api.create_group("bob", ["alice"], name="g", token=admin, group_id="muted")
        await api.call("/group/mute_group", {"groupID": "muted"}, admin)
    code, _, said = await _chat(node, "--as", "alice", "--group", "muted", piped=b"hello\n")
    assert "(not sent: " in said
    assert code == 1, said


async def test_gateway_that_does_not_answer(node: NodeProcess) -> None:
    port = free_port()
    code, _, said = await _chat(node, "--as", "alice", "--to", "bob", ws_port=port)
    assert (code, said) == (69, f"greenroom: no node answers at ws://127.0.0.1:{port}\n")


async def test_connection_that_comes_back_is_told(node: NodeProcess) -> None:
    process = await asyncio.create_subprocess_exec(
        NODE_PYTHON, "-m", "greenroom", "chat", "--as", "alice", "--to", "bob", "--data-dir", str(node.data_dir),
        "--ws-port", str(node.ws_port), "--api-port", str(node.api_port),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "GREENROOM_SECRET": SECRET}, cwd=node.folder,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        lines = [await asyncio.wait_for(process.stderr.readline(), 30)]
        await node.terminate()
        lines.append(await asyncio.wait_for(process.stderr.readline(), 30))
        await node.start()
        lines.append(await asyncio.wait_for(process.stderr.readline(), 30))
    finally:
        process.kill()
        await process.wait()
    assert lines == [b"You are alice, in a chat with bob. Ctrl-D ends it.\n", b"(offline)\n", b"(online)\n"]


async def test_text_too_large_is_refused_at_once(node: NodeProcess) -> None:
    piped = os.urandom(60_000).hex().encode() + b"\n" + b"x" * 300_000 + b"\nshort\n"
    code, _, said = await _chat(node, "--as", "alice", "--to", "bob", piped=piped)
    assert code == 1, said
    assert "at most 51,200 bytes" in said
    assert "the line has more than 262,144 characters" in said
    assert "(offline)" not in said


@pytest.mark.parametrize("group", ["nothing", "dismissed", "strangers"])
async def test_group_where_nobody_can_chat_is_not_greeted(node: NodeProcess, group: str) -> None:
    await node.tokens("alice", "bob", "carol")
    async with Api(node.api_url) as api:
        admin = await api.admin_token(SECRET)
        await api.create_group("bob", ["carol"], name="g", token=admin, group_id="strangers")
        await api.create_group("bob", ["alice"], name="g", token=admin, group_id="dismissed")
        await api.call("/group/dismiss_group", {"groupID": "dismissed"}, admin)
    code, shown, said = await _chat(node, "--as", "alice", "--group", group, piped=b"hello\n")
    assert (code, shown, said.count("\n")) == (1, "", 1), said
    assert ("is not a member of group" if group == "strangers" else "there is no group") in said
