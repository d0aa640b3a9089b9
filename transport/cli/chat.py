"""A chat in the terminal, on top of `Client`: it sends each typed line, and prints incoming messages."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

from greenroom.actors.errors import NoPermission
from greenroom.actors.wire.vocabulary import GroupStatus
from greenroom.persistence.settings import Settings
from greenroom.transport.cli.options import UNREACHABLE, CommandFailed
from greenroom.transport.cli.problems import FAILED
from greenroom.transport.cli.token import admin_token
from greenroom.transport.cli.urls import api_url, ws_url
from greenroom.transport.client.api import Api
from greenroom.transport.client.client import Client
from greenroom.transport.client.client_message import Received, direct_conversation_id, group_conversation_id
from greenroom.transport.client.errors import ClientError, ConnectionLost, Refused
from greenroom.transport.client.printable import printable

__all__ = ["Chat"]

HISTORY = 10
"""Number of older messages that are shown at the start."""
LINES_WAITING = 64
LINE_LIMIT = 256 * 1024
"""Characters of a line. No server accepts as many, and a file without line ends must not fill the memory."""


class Line(NamedTuple):
    """A line of the standard input, without its end."""

    text: str
    problem: str = ""
    """Why it cannot be sent; empty if it can."""


class Chat:
    """One conversation, on a terminal or in a pipe. It ends with its input, with Ctrl-C, or with a kick."""

    def __init__(
        self, settings: Settings, *, user_id: str, peer_id: str = "", group_id: str = "", follow: bool = False
    ) -> None:
        self._settings = settings
        self._user_id = user_id
        self._peer_id = peer_id
        self._group_id = group_id
        self._follow = follow
        self._refused = 0
        """Number of lines that were not sent."""
        self._was_offline = False
        self._conversation_id = (
            direct_conversation_id(user_id, peer_id) if peer_id else group_conversation_id(group_id)
        )

    async def run(self) -> int:
        """Returns the exit code: 1 if a line that did not come from a terminal was not sent. Raises CommandFailed."""
        async with Api(api_url(self._settings)) as api:
            admin = await admin_token(api, self._settings)
            people = [self._user_id, self._peer_id] if self._peer_id else [self._user_id]
            await api.register(*dict.fromkeys(people), admin_token=admin, missing_only=True)
            token = await api.user_token(self._user_id, admin_token=admin)
            if self._group_id:
                await self._check_group(api, token)
        client = Client(
            ws_url=ws_url(self._settings),
            user_id=self._user_id,
            token=token,
            on_state=self._tell_state,
        )
        try:
            await client.start()
        except ConnectionLost:
            raise CommandFailed(f"no node answers at {ws_url(self._settings)}", exit_code=UNREACHABLE) from None
        try:
            await self._talk(client)
        finally:
            await client.close()
        is_typed = sys.stdin is not None and sys.stdin.isatty()
        return FAILED if self._refused and not is_typed else 0

    async def _talk(self, client: Client) -> None:
        """Show the messages and send the lines, until the end of the input or of the connection."""
        whom = self._peer_id or f"group {self._group_id}"
        _tell(f"You are {self._user_id}, in a chat with {whom}. Ctrl-D ends it.")
        await self._show_history(client)
        showing = asyncio.create_task(self._show(client))
        sending = asyncio.create_task(self._send(client))
        done, waiting = await asyncio.wait((showing, sending), return_when=asyncio.FIRST_COMPLETED)
        if showing not in done and self._follow:
            done, waiting = await asyncio.wait((showing,))
        for task in waiting:
            task.cancel()
        for task in done:
            task.result()

    def _tell_state(self, state: str) -> None:
        """Tell when the connection is lost, and when it is there again."""
        if state == "offline" or (state == "online" and self._was_offline):
            self._was_offline = state == "offline"
            _tell(f"({state})")

    async def _check_group(self, api: Api, token: str) -> None:
        """Raises CommandFailed if this user cannot chat in the group."""
        found = await api.call("/group/get_groups_info", {"groupIDs": [self._group_id]}, token)
        groups = (found or {}).get("groupInfos") or ()
        if not groups or groups[0].get("status") == GroupStatus.DISMISSED:
            raise CommandFailed(f"chat: there is no group {self._group_id!r}")
        asked = {"groupID": self._group_id, "userIDs": [self._user_id]}
        try:
            found = await api.call("/group/get_group_members_info", asked, token)
        except Refused as problem:
            if problem.code != NoPermission.code:
                raise
            found = None
        if not (found or {}).get("members"):
            raise CommandFailed(f"chat: {self._user_id!r} is not a member of group {self._group_id!r}")

    async def _show_history(self, client: Client) -> None:
        end = client.seqs.get(self._conversation_id, 0)
        if end:
            begin = max(1, end - HISTORY + 1)
            for message in await client.pull_history(
                self._conversation_id, begin=begin, end=end, limit=HISTORY
            ):
                _show(message)

    async def _show(self, client: Client) -> None:
        async for message in client.messages():
            if message.seq:  # A typing sign has no seq.
                _show(message, elsewhere=message.conversation_id != self._conversation_id)

    async def _send(self, client: Client) -> None:
        async for line in _lines():
            if line.problem:
                self._refuse(line.problem)
            elif line.text:
                try:
                    await client.send(recv_id=self._peer_id, group_id=self._group_id, text=line.text)
                except ClientError as problem:
                    if client.state == "closed":
                        raise
                    self._refuse(problem)

    def _refuse(self, problem: object) -> None:
        self._refused += 1
        _tell(f"(not sent: {problem})")


def _show(message: Received, *, elsewhere: bool = False) -> None:
    text = message.text or f"(a message of type {message.content_type})"
    where = f" [{message.conversation_id}]" if elsewhere else ""
    print(printable(f"{_clock(message.send_time)} {message.send_id}{where}: {text}"), flush=True)


def _clock(send_time_ms: int) -> str:
    try:
        return time.strftime("%H:%M:%S", time.localtime(send_time_ms / 1000))
    except (OverflowError, OSError, ValueError):  # A year that the system's clock does not have.
        return "--:--:--"


def _tell(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _read_lines() -> Iterator[Line]:
    stream = sys.stdin
    if stream is None:  # It was closed before the start.
        return
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="surrogateescape")
    while text := stream.readline(LINE_LIMIT):
        if len(text) == LINE_LIMIT and not text.endswith("\n"):
            while (rest := stream.readline(LINE_LIMIT)) and not rest.endswith("\n"):
                pass
            yield Line("", f"the line has more than {LINE_LIMIT:,} characters")
            continue
        try:
            text.encode()
        except UnicodeEncodeError:
            yield Line("", "the line is not valid UTF-8")
        else:
            yield Line(text.rstrip("\n"))


async def _lines() -> AsyncIterator[Line]:
    """The lines of the standard input (a terminal, a pipe or a file), read without blocking the loop.

    A daemon thread reads them, because a read from a terminal cannot be cancelled, and must not keep the process alive.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[Line | None] = asyncio.Queue(LINES_WAITING)

    def read() -> None:
        try:
            for line in _read_lines():
                asyncio.run_coroutine_threadsafe(waiting.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(waiting.put(None), loop).result()
        except (RuntimeError, asyncio.CancelledError):
            return  # The loop has ended.

    threading.Thread(target=read, name="greenroom stdin", daemon=True).start()
    while (line := await waiting.get()) is not None:
        yield line
