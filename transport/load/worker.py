"""A part of a load in a process of its own. Parent and child exchange JSON lines over the child's standard input and
output. The child is `python -m greenroom.transport.load.worker`; only RemotePart starts it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import Any, TypeVar

import msgspec

from greenroom.transport.listening import raise_descriptor_limit
from greenroom.transport.load.part import LocalPart
from greenroom.transport.load.samples import Sample
from greenroom.transport.load.share import Order

__all__ = ["PartDied", "RemotePart", "main", "tune_collector"]

LINE_LIMIT_BYTES = 64 * 1024 * 1024
"""Enough for one line with the tokens of a hundred thousand users."""
YOUNG_OBJECTS = 50_000
"""The collector's first threshold. Virtual users live long and messages have no cycles, so with the default of 700 it
would run often and find nothing."""
_Answer = TypeVar("_Answer")


class Asked(msgspec.Struct):
    """One call of a method of LoadPart, with its arguments."""

    number: int
    method: str
    arguments: list[Any]


class Answered(msgspec.Struct):
    """The answer to a call, or its error."""

    number: int
    answer: msgspec.Raw = msgspec.Raw(b"null")
    error: str = ""


class PartDied(RuntimeError):
    """A process of the harness ended before its work was done."""


class RemotePart:
    """A LoadPart in a child process. The child ends when its standard input ends, so it never outlives its parent."""

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
            start_new_session=True,  # Ctrl-C is for the parent, which ends the load in good order.
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

    async def newest(self) -> dict[str, int]:
        return await self._ask("newest", dict[str, int])

    async def behind(self, newest: dict[str, int]) -> int:
        return await self._ask("behind", int, newest)

    async def audit(self, newest: dict[str, int], exempt_behind: bool, growing: bool) -> int:
        return await self._ask("audit", int, newest, exempt_behind, growing)

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
            answered = msgspec.json.decode(line, type=Answered)
            answer = self._waiting.pop(answered.number)
            if answer.done():
                continue
            if answered.error:
                answer.set_exception(PartDied(answered.error))
            else:
                answer.set_result(answered.answer)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(PartDied("a process of the harness has died"))


class Worker:
    """The child: it executes calls as they arrive, several at a time, until its input ends."""

    def __init__(self) -> None:
        self._part: LocalPart | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            call = loop.create_task(self._execute(msgspec.json.decode(line, type=Asked)))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _execute(self, asked: Asked) -> None:
        try:
            answered = Answered(asked.number, msgspec.Raw(msgspec.json.encode(await self._call(asked))))
        except Exception as problem:
            answered = Answered(asked.number, error=f"{type(problem).__name__}: {problem}")
        sys.stdout.buffer.write(msgspec.json.encode(answered) + b"\n")
        sys.stdout.buffer.flush()

    async def _call(self, asked: Asked) -> Any:
        if asked.method == "order":
            self._part = LocalPart(msgspec.convert(asked.arguments[0], Order))
            return None
        return await getattr(self._part, asked.method)(*asked.arguments)


def tune_collector() -> None:
    """Make the garbage collector look at new objects less often."""
    gc.set_threshold(YOUNG_OBJECTS, 50, 50)


def main() -> None:
    import uvloop

    raise_descriptor_limit()
    tune_collector()
    uvloop.run(Worker().run())


if __name__ == "__main__":
    main()
