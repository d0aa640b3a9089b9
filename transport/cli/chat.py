"""A chat in the terminal, on top of `Client`: it sends each typed line, and prints incoming messages."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import AsyncIterator

from greenroom.persistence.settings import Settings
from greenroom.transport.cli.token import admin_token
from greenroom.transport.cli.urls import api_url, ws_url
from greenroom.transport.client.api import Api
from greenroom.transport.client.client import Client
from greenroom.transport.client.client_message import Received, direct_conversation_id, group_conversation_id
from greenroom.transport.client.errors import ClientError

__all__ = ["Chat"]

HISTORY = 10
"""Number of older messages that are shown at the start."""
LINES_WAITING = 64


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
        self._conversation_id = (
            direct_conversation_id(user_id, peer_id) if peer_id else group_conversation_id(group_id)
        )

    async def run(self) -> int:
        """Returns the exit code."""
        async with Api(api_url(self._settings)) as api:
            admin = await admin_token(api, self._settings)
            people = [self._user_id, self._peer_id] if self._peer_id else [self._user_id]
            await api.register(*dict.fromkeys(people), admin_token=admin, missing_only=True)
            token = await api.user_token(self._user_id, admin_token=admin)
        client = Client(
            ws_url=ws_url(self._settings),
            user_id=self._user_id,
            token=token,
            on_state=lambda state: _tell(f"({state})") if state == "offline" else None,
        )
        async with client:
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
        return 0

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
            if line:
                try:
                    await client.send(recv_id=self._peer_id, group_id=self._group_id, text=line)
                except ClientError as problem:
                    if client.state == "closed":
                        raise
                    _tell(f"(not sent: {problem})")


def _show(message: Received, *, elsewhere: bool = False) -> None:
    text = message.text or f"(a message of type {message.content_type})"
    clock = time.strftime("%H:%M:%S", time.localtime(message.send_time / 1000))
    where = f" [{message.conversation_id}]" if elsewhere else ""
    print(f"{clock} {message.send_id}{where}: {_printable(text)}", flush=True)


def _printable(text: str) -> str:
    """The text without characters that move the cursor or colour the terminal: a stranger may have sent it."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def _lines() -> AsyncIterator[str]:
    """The lines of the standard input (a terminal, a pipe or a file), read without blocking the loop.

    A daemon thread reads them, because a read from a terminal cannot be cancelled, and must not keep the process alive.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Queue[str | None] = asyncio.Queue(LINES_WAITING)

    def read() -> None:
        try:
            for line in sys.stdin:
                asyncio.run_coroutine_threadsafe(waiting.put(line.rstrip("\n")), loop).result()
            asyncio.run_coroutine_threadsafe(waiting.put(None), loop).result()
        except (RuntimeError, asyncio.CancelledError):
            return  # The loop has ended.

    threading.Thread(target=read, name="greenroom stdin", daemon=True).start()
    while (line := await waiting.get()) is not None:
        yield line
