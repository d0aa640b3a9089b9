"""`greenroom status`: what it prints, and its exit codes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from greenroom.actors.status import InQuarantine, LimitedState, StoreState
from greenroom.persistence import settings as settings_module
from greenroom.tests.kit.http_kit import SECRET, STATUS, http_stage
from greenroom.tests.kit.node_kit import free_port
from greenroom.transport.cli.chat import Chat
from greenroom.transport.cli.options import NO_SECRET, UNREACHABLE, CommandFailed
from greenroom.transport.cli.status_screen import ILL, WELL, show_status, status_lines
from greenroom.transport.cli.token import make_token

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from greenroom.persistence.settings import Settings

    Command = Callable[[Settings], Awaitable[None]]

SCREEN = """\
greenroom 1.2.3: the store fails and the store is damaged and 1 in quarantine; up 1 d 2 h, since SINCE
  conversation:a_b: not woken for 4 s more, after 9 crashes of Conversation
7 connections; 1,234 messages acked, 5,678 pushed
store: 900 slices stored, 3 refused, 2 failed, 1 late; 8 reads met damage
limits: 41 messages, 42 changes and 43 requests without a token refused; 44 wrong secrets
lane-0: 4 slices wait, 5 in flight; 6 batches
restarted after a crash: store 2

actor                 awake     messages      slept  crashes  unhandled  quarantined
Conversation             11           12         14       13         15            1
User                     21           22         24       23         25            0"""


def settings_for(port: int, secret: str) -> Settings:
    return settings_module.load(environ={"GREENROOM_SECRET": secret, "GREENROOM_NODE_API_PORT": str(port)})


def test_screen() -> None:
    first, *rest = status_lines(STATUS)
    said, _, since = first.partition("since ")
    assert "\n".join([f"{said}since SINCE", *rest]) == SCREEN
    assert since.startswith("2023-11-1")


def test_screen_of_a_node_that_is_well() -> None:
    well = msgspec.structs.replace(
        STATUS,
        is_healthy=True,
        up_s=12.3,
        quarantined=[],
        restarts={},
        limited=LimitedState(0, 0, 0, 0),
        store=StoreState(False, 0, 0, 0, 0, 0),
    )
    lines = list(status_lines(well))
    assert lines[0].startswith("greenroom 1.2.3: well; up 12 s, since ")
    assert lines[1].startswith("7 connections")
    assert "restarted" not in "".join(lines)
    assert "limits" not in "".join(lines)


def test_screen_with_hundreds_in_quarantine() -> None:
    held = [InQuarantine(f"user:u{number}", "User", 1, 60.0) for number in range(300)]
    lines = list(status_lines(msgspec.structs.replace(STATUS, quarantined=held)))
    assert len(lines) < 40
    assert "300 in quarantine" in lines[0]
    assert lines[21] == "  and 280 more (--json shows all)"


@pytest.mark.parametrize("well", [True, False])
async def test_exit_code_and_json(capsys: pytest.CaptureFixture[str], well: bool) -> None:
    async with http_stage() as http:
        now = msgspec.structs.replace(STATUS, is_healthy=well)
        http.parts.status = lambda: now
        code = await show_status(settings_for(http.server.port, SECRET), as_json=True)
    assert code == (WELL if well else ILL)
    assert msgspec.convert(json.loads(capsys.readouterr().out), type(now)) == now


async def _status(settings: Settings) -> None:
    await show_status(settings, as_json=False)


async def _token(settings: Settings) -> None:
    await make_token(settings, "alice", platform_id=5, register=True)


async def _chat(settings: Settings) -> None:
    await Chat(settings, user_id="alice", peer_id="bob").run()


COMMANDS = pytest.mark.parametrize("command", [_status, _token, _chat])


@COMMANDS
async def test_nobody_answers(command: Command) -> None:
    port = free_port()
    with pytest.raises(CommandFailed, match=f"^no node answers at http://127.0.0.1:{port}$") as caught:
        await command(settings_for(port, SECRET))
    assert caught.value.exit_code == UNREACHABLE


@COMMANDS
async def test_other_secret(command: Command) -> None:
    async with http_stage() as http:
        told = f"the node at http://127.0.0.1:{http.server.port} "
        for _ in range(4):
            with pytest.raises(CommandFailed, match=f"^{told}has another secret$") as caught:
                await command(settings_for(http.server.port, f"not {SECRET}"))
            assert caught.value.exit_code == NO_SECRET
        with pytest.raises(CommandFailed, match=f"^{told}refuses: too many wrong secrets$") as caught:
            await command(settings_for(http.server.port, SECRET))
        assert caught.value.exit_code == NO_SECRET
