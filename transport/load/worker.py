"""The process of one part of a load: `python -m greenroom.transport.load.worker`, started by RemotePart only."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import msgspec

from greenroom.transport.load.limits import raise_file_limit, tune_collector
from greenroom.transport.load.part import LocalPart, Order
from greenroom.transport.load.remote_part import LINE_LIMIT_BYTES, Asked, Told

__all__ = ["main"]


class Worker:
    """Carries out what comes, each call beside the others, until the input ends."""

    def __init__(self) -> None:
        self._part: LocalPart | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=LINE_LIMIT_BYTES)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            call = loop.create_task(self._carry_out(msgspec.json.decode(line, type=Asked)))
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _carry_out(self, asked: Asked) -> None:
        try:
            told = Told(asked.number, msgspec.Raw(msgspec.json.encode(await self._call(asked))))
        except Exception as problem:
            told = Told(asked.number, error=f"{type(problem).__name__}: {problem}")
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        sys.stdout.buffer.flush()

    async def _call(self, asked: Asked) -> Any:
        if asked.method == "order":
            self._part = LocalPart(msgspec.convert(asked.arguments[0], Order))
            return None
        return await getattr(self._part, asked.method)(*asked.arguments)


def main() -> None:
    import uvloop

    raise_file_limit()
    tune_collector()
    uvloop.run(Worker().run())


if __name__ == "__main__":
    main()
