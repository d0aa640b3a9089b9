"""Honest clients beside an attack, in a process of their own, so that the attacker's work does not delay them: a pair
that chats at 30 messages a second, each user on a connection of their own, and a client of the HTTP API, which logs in
and reads by turns. They write down how long each answer took."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import math
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import httpx

from greenroom.tests.kit.wire_kit import Device, text_message

if TYPE_CHECKING:
    from greenroom.tests.kit.node_kit import NodeProcess

__all__ = ["PAIR", "Bystanders", "Wait"]

PAIR = ("alice", "bob")
MESSAGES_PER_S = 30
HTTP_EVERY_S = 0.2
HTTP_LIMIT_S = 30.0
REFUSED = math.inf
_RECORD = struct.Struct("?dd")


class Wait(NamedTuple):
    is_http: bool
    began_at: float
    """When it began, on the monotonic clock."""
    took_s: float
    """REFUSED if the HTTP API did not serve the call."""


class Bystanders:
    """They go on until `stop`."""

    def __init__(self, node: NodeProcess, tokens: dict[str, str], admin: str, path: Path) -> None:
        self._path = path
        command = [sys.executable, "-m", "greenroom.tests.kit.bystanders", str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        job = {"ws_url": node.ws_url, "api_url": node.api_url, "tokens": tokens, "admin": admin}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(job).encode())
        self._process.stdin.close()

    def waits(self, kind: Literal["acks", "http"], *, since: float, until: float) -> list[float]:
        """The seconds of all that waited for an answer at some time between these."""
        data = self._path.read_bytes() if self._path.exists() else b""
        whole = (Wait(*record) for record in _RECORD.iter_unpack(data[: len(data) // _RECORD.size * _RECORD.size]))
        return [
            wait.took_s
            for wait in whole
            if wait.is_http == (kind == "http") and wait.began_at <= until and wait.began_at + wait.took_s >= since
        ]

    async def stop(self) -> None:
        """Raises if a message was not acked, not received, or a connection ended."""
        self._process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self._process.wait, 30) == 0, "the pair did not get on as it should"

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


class _Notes:
    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def add(self, *, is_http: bool, began_at: float, took_s: float) -> None:
        self._file.write(_RECORD.pack(is_http, began_at, took_s))


async def _chat(devices: list[Device], notes: _Notes, stopped: asyncio.Event) -> None:
    """At fixed times, however slow the answers are."""
    failures: list[str] = []

    def on_ack(began_at: float, answer: asyncio.Future[Any]) -> None:
        notes.add(is_http=False, began_at=began_at, took_s=time.monotonic() - began_at)
        if answer.cancelled() or answer.result().err_code:
            failures.append("the connection ended" if answer.cancelled() else answer.result().err_msg)

    begin, acks = time.monotonic(), []
    for number in itertools.count():
        if stopped.is_set() or failures:
            break
        await asyncio.sleep(max(0.0, begin + number / MESSAGES_PER_S - time.monotonic()))
        sender, receiver = devices[number % 2], devices[1 - number % 2]
        data = text_message(sender.user_id, receiver.user_id, clientMsgID=f"{begin}-{number}").SerializeToString()
        began_at = time.monotonic()
        acks.append(await sender.ask(1003, data))
        acks[-1].add_done_callback(functools.partial(on_ack, began_at))
    async with asyncio.timeout(10):
        await asyncio.gather(*acks, return_exceptions=True)
        conversation = "si_" + "_".join(PAIR)
        for device in devices:
            await device.wait_for(conversation, len(acks) - 1)
    assert not failures, failures[:3]


async def _call(job: dict[str, Any], notes: _Notes) -> None:
    calls = [
        ("/user/get_users_info", {"userIDs": list(PAIR)}, job["tokens"][PAIR[0]]),
        ("/auth/get_user_token", {"userID": "carol", "platformID": 5}, job["admin"]),
    ]
    for path, body, token in itertools.cycle(calls):
        began_at = time.monotonic()
        took_s = REFUSED
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=HTTP_LIMIT_S, verify=False) as http:
                headers = {"operationID": "honest", "token": token}
                answer = await http.post(job["api_url"] + path, json=body, headers=headers)
            if answer.json()["errCode"] == 0:
                took_s = time.monotonic() - began_at
        except httpx.HTTPError:
            pass
        notes.add(is_http=True, began_at=began_at, took_s=took_s)
        await asyncio.sleep(HTTP_EVERY_S)


async def _main() -> None:
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    job, notes = json.load(sys.stdin), _Notes(Path(sys.argv[1]))
    node: Any = SimpleNamespace(ws_url=job["ws_url"])
    devices = [await Device.open(node, user, job["tokens"][user]) for user in PAIR]
    calling = asyncio.create_task(_call(job, notes))
    await _chat(devices, notes, stopped)
    calling.cancel()
    for device in devices:
        await device.__aexit__()


if __name__ == "__main__":
    asyncio.run(_main())
