"""A part of a load in a process of its own: asked and answered in JSON lines over its standard input and output."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from greenroom.transport.load.tally import Sample

if TYPE_CHECKING:
    from greenroom.transport.load.part import Order

__all__ = ["Asked", "PartDied", "RemotePart", "Told"]

LINE_LIMIT_BYTES = 64 * 1024 * 1024
"""The tokens of a hundred thousand users in one line."""
_Answer = TypeVar("_Answer")


class Asked(msgspec.Struct):
    """One call: a method of Part, and its arguments."""

    number: int
    method: str
    arguments: list[Any]


class Told(msgspec.Struct):
    """Its answer, or why there is none."""

    number: int
    answer: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


class PartDied(RuntimeError):
    """A process of the harness ended before its work was done."""


class RemotePart:
    """See Part. The process ends with its standard input, so it never outlives this one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._waiting: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._count = 0
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def start(cls, order: Order) -> RemotePart:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "greenroom.transport.load.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_LIMIT_BYTES,
            start_new_session=True,  # Ctrl-C is for the parent: it ends the load in good order.
        )
        part = cls(process)
        await part._ask("order", type(None), order)
        return part

    async def connect(self) -> None:
        await self._ask("connect", type(None))

    async def begin(self, rate_per_s: float, hold_s: float, start_ns: int) -> None:
        await self._ask("begin", type(None), rate_per_s, hold_s, start_ns)

    async def end(self) -> None:
        await self._ask("end", type(None))

    async def sample(self) -> Sample:
        return await self._ask("sample", Sample)

    async def in_flight(self) -> int:
        return await self._ask("in_flight", int)

    async def newest(self) -> dict[str, int]:
        return await self._ask("newest", dict[str, int])

    async def behind(self, newest: dict[str, int]) -> int:
        return await self._ask("behind", int, newest)

    async def audit(self, exempt_behind: bool) -> None:
        await self._ask("audit", type(None), exempt_behind)

    async def close(self) -> None:
        if self._process.returncode is None:
            await self._ask("close", type(None))
            assert self._process.stdin is not None
            self._process.stdin.close()
            await self._process.wait()
        await self._reading

    async def _ask(self, method: str, kind: type[_Answer], *arguments: Any) -> _Answer:
        if self._reading.done():
            raise PartDied("a process of the harness has died")
        self._count += 1
        number = self._count
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(Asked(number, method, list(arguments))) + b"\n")
            await self._process.stdin.drain()
        except ConnectionError:
            raise PartDied("a process of the harness has died") from None
        return msgspec.json.decode(await answer, type=kind)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            told = msgspec.json.decode(line, type=Told)
            answer = self._waiting.pop(told.number)
            if answer.done():
                continue
            if told.error:
                answer.set_exception(PartDied(told.error))
            else:
                answer.set_result(told.answer)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(PartDied("a process of the harness has died"))
