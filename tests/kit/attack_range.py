"""Where attacks are made: a node in a process of its own that notes its long turns, what it holds in memory, and, if
wanted, honest clients beside it."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import secrets
import socket
import statistics
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from greenroom.actors.errors import ArgsError
from greenroom.actors.rules.limits import SMALL_MESSAGE_BYTES
from greenroom.actors.wire.go_json import ELEMENTS_LIMIT
from greenroom.tests.kit.attack_corpus import FLOOD_BYTES, Asked, Attack, Called, Flooded, Framed, packed
from greenroom.tests.kit.attack_sizes import ATTACKER, CROWD, CROWD_SIZE, fresh_group_id
from greenroom.tests.kit.bystanders import PAIR, Bystanders
from greenroom.tests.kit.node_kit import SECRET, NodeProcess
from greenroom.tests.kit.watched_node import WATCH_FILE, TurnFile
from greenroom.tests.kit.wire_kit import Device, dial_url, text_message
from greenroom.transport.client.api import Api
from greenroom.transport.gateway.requests import PLAIN_LIMIT_BYTES, REQUESTS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["TURN_LIMIT_S", "Figures", "Range", "attack_range"]

TURN_LIMIT_S = 0.020
"""CPU of the loop's thread, on a usual machine."""
USUAL_S = 0.00125
"""What `_work` takes on a usual machine: on the one of docs/bounds.md between 1.0 and 1.9 ms, as its clock varies."""
TRIES = 5
"""A turn is only too long if it is so each time: on a busy machine the same work takes more of the CPU's time."""
ADMIN = "imAdmin"
CALL_LIMIT_S = 60.0
POLICY_VIOLATION = 1008
TOKEN_ERRORS = range(1501, 1508)
QUIET_S = 0.05
"""An attack is over when the loop had no long turn for so long."""
QUIET_LIMIT_S = 10.0
ROUND_TRIPS = 3
"""Answered calls after an attack. Each needs several turns of the loop, so that the attack's last turns are noted."""


class Figures(NamedTuple):
    name: str
    turn_s: float
    """The longest turn of the last try. The others were too long."""
    collection_s: float
    """The longest collection of garbage in all tries."""
    peak_bytes: int
    """The most memory that the node and its writer had meanwhile, above rest."""
    held_bytes: int
    """What they had afterwards, above rest."""
    ack_s: float
    """The slowest ack of the pair beside it."""
    http_s: float
    """The slowest HTTP call of an honest client beside it."""


class Range:
    def __init__(self, node: NodeProcess, tokens: dict[str, str], turns: TurnFile) -> None:
        self.node = node
        self.tokens = tokens
        self.bystanders: Bystanders | None = None
        self._turns = turns
        self._salts = itertools.count()
        self._salt = secrets.token_hex(4)
        self.rest_bytes = 0

    # Memory.

    def _pids(self) -> set[int]:
        assert self.node.process is not None
        return {self.node.process.pid, self.node.writer}

    def held_bytes(self) -> int:
        """Memory above rest."""
        return sum(_status_bytes(pid, "VmRSS:") for pid in self._pids()) - self.rest_bytes

    def _peak_bytes(self) -> int:
        return sum(_status_bytes(pid, "VmHWM:") for pid in self._pids()) - self.rest_bytes

    def rest(self) -> None:
        """What the node has now is its memory at rest."""
        self.rest_bytes += self.held_bytes()

    def _reset_peak(self) -> None:
        for pid in self._pids():
            Path(f"/proc/{pid}/clear_refs").write_text("5")

    # Measuring.

    async def feel(self, attack: Attack) -> Figures:
        """Make an attack, up to TRIES times while its longest turn is too long."""
        self._reset_peak()
        began = time.monotonic()
        longest = collection = 0.0
        for _ in range(TRIES):
            longest, collection_s = await self._try(attack)
            longest = _as_usual(longest)
            collection = max(collection, collection_s)
            if longest <= TURN_LIMIT_S:
                break
        return self.figures(attack.name, since=began)._replace(turn_s=longest, collection_s=collection)

    async def longest_turn_of(self, work: Callable[[], Awaitable[object]]) -> float:
        """The longest turn of the last of up to TRIES tries. The others were too long."""
        longest = 0.0
        for _ in range(TRIES):
            began = time.monotonic()
            await work()
            await self.settle()
            turns = self._turns.turns(since=began, until=time.monotonic())
            longest = _as_usual(max((turn.cpu_s for turn in turns), default=0.0))
            if longest <= TURN_LIMIT_S:
                break
        return longest

    def figures(self, name: str, *, since: float) -> Figures:
        """The figures of all that has happened since then; its peak of memory is that since the last `_reset_peak`."""
        until = time.monotonic()
        turns = self._turns.turns(since=since, until=until)
        beside = self.bystanders
        return Figures(
            name,
            max((turn.cpu_s for turn in turns), default=0.0),
            max((turn.collection_s for turn in turns), default=0.0),
            self._peak_bytes(),
            self.held_bytes(),
            max(beside.waits("acks", since=since, until=until), default=0.0) if beside else 0.0,
            max(beside.waits("http", since=since, until=until), default=0.0) if beside else 0.0,
        )

    @asynccontextmanager
    async def scene(self) -> AsyncIterator[float]:
        """Yields when it began."""
        self._reset_peak()
        yield time.monotonic()

    async def _try(self, attack: Attack) -> tuple[float, float]:
        salt = f"{self._salt}{next(self._salts)}"
        what = attack.what
        if isinstance(what, Called) and what.fresh_group is not None:
            async with Api(self.node.api_url, timeout_s=CALL_LIMIT_S) as api:
                await api.create_group(
                    ATTACKER, what.fresh_group, name="g", token=self.tokens[ATTACKER], group_id=fresh_group_id(salt)
                )
            await self.settle()
        began = time.monotonic()
        match what:
            case Called():
                await self._call(attack.name, what, salt)
            case Asked():
                await self._ask(attack.name, what, salt)
            case Framed():
                await self._write(attack.name, what)
            case Flooded():
                await self._flood(attack.name, what)
        await self.settle()
        turns = self._turns.turns(since=began, until=time.monotonic())
        return max((turn.cpu_s for turn in turns), default=0.0), max((turn.collection_s for turn in turns), default=0.0)

    async def settle(self) -> None:
        """Wait until the turns of the attack are noted, and those of what goes on after its answer."""
        request = b"GET /healthz HTTP/1.1\r\nhost: x\r\n"
        for _ in range(ROUND_TRIPS):
            answer = await asyncio.to_thread(_exchange, self.node.api_port, request, b"")
            assert answer.startswith(b"HTTP/1.1 200 "), answer
        deadline = time.monotonic() + QUIET_LIMIT_S
        while (now := time.monotonic()) < deadline and self._turns.turns(since=now - QUIET_S, until=now):  # noqa: ASYNC110
            await asyncio.sleep(QUIET_S / 2)

    # Attacks.

    async def _call(self, name: str, call: Called, salt: str) -> None:
        body = call.body(salt)
        token = f"token: {self.tokens[call.caller]}\r\n" if call.caller else ""
        head = (
            f"{call.method} {call.path} HTTP/1.1\r\nhost: x\r\noperationid: op\r\n{token}"
            f"content-length: {len(body)}\r\naccept-encoding: {'gzip' if call.accepts_gzip else 'identity'}\r\n"
        )
        answer = await asyncio.to_thread(_exchange, self.node.api_port, head.encode(), body)
        status, content = answer.split(b" ", 2)[1], answer.partition(b"\r\n\r\n")[2]
        if call.accepts_gzip:
            assert b"content-encoding: gzip" in answer, name
            assert len(json.loads(gzip.decompress(content))["data"]["usersInfo"]) == 1000, name
        elif call.method == "POST":
            envelope = json.loads(content)
            if status == b"429":
                return  # Wrong secrets have to wait.
            assert status in (b"200", b"400"), (name, status)
            assert not call.caller or envelope["errCode"] not in TOKEN_ERRORS, (name, envelope)
            if call.refused_field:
                assert envelope["errCode"] == ArgsError.code, (name, envelope)
                is_read = len(body) <= call.max_body_bytes and body.count(b",") <= ELEMENTS_LIMIT
                assert not is_read or call.refused_field in envelope["errDlt"], (name, envelope)
        else:
            assert status in (b"200", b"404", b"503"), (name, status)

    async def _ask(self, name: str, asked: Asked, salt: str) -> None:
        data = asked.data(salt)
        async with await Device.open(self.node, ATTACKER, self.tokens[ATTACKER], gzip=True) as device:
            answer = await device.ask(asked.number, data)
            async with asyncio.timeout(CALL_LIMIT_S):
                await asyncio.wait([answer])
            assert not answer.cancelled(), f"{name}: the connection ended"
            response = answer.result()
        assert not asked.is_answered or response.err_code == 0, (name, response.err_msg)
        if asked.refused_field and len(data) > SMALL_MESSAGE_BYTES:
            assert response.err_code == ArgsError.code, (name, response.err_code, response.err_msg)
            named = {asked.refused_field, REQUESTS[asked.number].list_field} - {""}
            if len(data) > PLAIN_LIMIT_BYTES:
                named.add("data")  # It is refused before it is parsed.
            assert any(one in response.err_msg for one in named), (name, response.err_msg)

    async def _write(self, name: str, framed: Framed) -> None:
        async with await Device.open(self.node, ATTACKER, self.tokens[ATTACKER], gzip=True) as device:
            await device.newest()
            with suppress(ConnectionClosed):
                await device.socket.send(packed(framed))
            assert await device.closed() == framed.close_code, name

    async def _flood(self, name: str, flood: Flooded) -> None:
        count = flood.frames or FLOOD_BYTES // len(flood.repeated(0))
        data = flood.first + b"".join(map(flood.repeated, range(count)))
        url = dial_url(self.node, ATTACKER, self.tokens[ATTACKER], sdkType="js")
        async with asyncio.timeout(CALL_LIMIT_S):
            connection = await connect(url, compression=None, ping_interval=None, proxy=None, max_queue=None)
            connection.transport.write(data)
            try:
                with suppress(ConnectionClosed):
                    for _ in range(flood.answers):
                        await connection.recv()
                    if not flood.answers:
                        await (await connection.ping())
                        assert not flood.is_control, f"{name}: it went through"
                if flood.answers:
                    assert connection.close_code is None, name
                elif flood.is_control:
                    assert connection.close_code == POLICY_VIOLATION, (name, connection.close_code)
                    assert connection.close_reason == "too many control frames"
            finally:
                connection.transport.abort()
                await connection.wait_closed()


def _exchange(port: int, head: bytes, body: bytes) -> bytes:
    """One HTTP request, and all that comes back."""
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=CALL_LIMIT_S) as connection:
        connection.sendall(head + b"connection: close\r\n\r\n" + body)
        while data := connection.recv(2**16):
            answer += data
    return answer


def _as_usual(turn_s: float) -> float:
    """A turn that is too long here and now, as it would be on a usual machine."""
    if turn_s <= TURN_LIMIT_S:
        return turn_s
    return turn_s / max(1.0, statistics.median(_work() for _ in range(15)) / USUAL_S)


def _work() -> float:
    """Do what handlers do, by the number: CPU time in seconds."""
    began = time.thread_time()
    rows = [{"userID": f"user{number}", "nickname": "nickname", "level": number % 3} for number in range(400)]
    found = {row["userID"]: row for row in json.loads(json.dumps(rows))}
    assert sum(len(user_id) for user_id, row in found.items() if row["level"] == 1) == 895
    return time.thread_time() - began


def _status_bytes(pid: int, name: str) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition(name)[2].split()[0]) * 1024


async def _furnish(node: NodeProcess) -> dict[str, str]:
    """Give the attacker a thousand users to name, and as many chats, and groups with long texts; a thousand other users
    have long texts. Returns the tokens."""
    long_text = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(8190))
    async with Api(node.api_url, timeout_s=CALL_LIMIT_S) as api:
        admin = await api.admin_token(SECRET)
        await api.register(ATTACKER, "carol", *PAIR, admin_token=admin)
        await api.register(*(f"x{number}" for number in range(CROWD_SIZE)), admin_token=admin)
        for start in range(0, 1000, 200):
            users = [
                {"userID": f"long{number}", "nickname": "n", "ex": long_text[number:] + long_text[:number]}
                for number in range(start, start + 200)
            ]
            await api.call("/user/user_register", {"users": users}, admin)
        tokens = {user: await api.user_token(user, admin_token=admin) for user in (ATTACKER, "x1", *PAIR)}
        members = [f"x{number}" for number in range(CROWD_SIZE - 1)]
        token = tokens[ATTACKER]
        await api.create_group(ATTACKER, members, name="g", token=token, group_id=CROWD)
        for number in range(1000):
            info = {"groupID": f"g{number}", "groupType": 2, "groupName": "g"}
            info |= {"ex": long_text, "introduction": long_text[:4096]}
            body = {"ownerUserID": ATTACKER, "memberUserIDs": ["x1"], "groupInfo": info}
            await api.call("/group/create_group", body, token)
    async with await Device.open(node, ATTACKER, token) as device:
        for start in range(0, 1000, 100):
            messages = [text_message(ATTACKER, f"x{n}", clientMsgID=f"c{n}") for n in range(start, start + 100)]
            answers = [await device.ask(1003, message.SerializeToString()) for message in messages]
            assert not any(response.err_code for response in await asyncio.gather(*answers))
    return tokens | {ADMIN: admin}


@asynccontextmanager
async def attack_range(
    folder: Path, *, beside: bool = False, furnished: bool = True, **env: str
) -> AsyncIterator[Range]:
    """A node that is ready to be attacked; with bystanders, if wanted. It must end well."""
    watch = folder / "turns"
    node = NodeProcess(
        folder, module="greenroom.tests.kit.watched_node", env={WATCH_FILE: str(watch), **env}
    )
    await node.start()
    bystanders: Bystanders | None = None
    try:
        tokens = await _furnish(node) if furnished else await node.tokens(ATTACKER)
        one = Range(node, tokens, TurnFile(watch))
        if beside:
            bystanders = one.bystanders = Bystanders(node, tokens, tokens[ADMIN], folder / "bystanders")
        await one.settle()
        one.rest()
        yield one
        if bystanders is not None:
            await bystanders.stop()
        assert await node.terminate() == 0
        assert "Traceback" not in node.log
    finally:
        if bystanders is not None:
            bystanders.close()
        node.close()
