"""The engine, started and stopped, by itself and under failure, and what it leaves behind. On both loops (conftest)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

import greenroom
from greenroom.actors.engine import Engine, EngineFell
from greenroom.actors.messages import Caller, RegisterUsers, SendMessage
from greenroom.actors.rules.ids import address_of, user_address
from greenroom.actors.runtime.service import Service
from greenroom.actors.runtime.supervision import ChildSpec
from greenroom.actors.wire import sdkws_pb2
from greenroom.persistence.errors import DataDirectoryInUse
from greenroom.persistence.tables import UserRow
from greenroom.tests.kit.listed import newest_seqs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from greenroom.persistence.store import Event

ADMIN = Caller("imAdmin", 10, "op", True)



async def register(engine: Engine, *user_ids: str) -> None:
    rows = [UserRow(user_id, user_id, "", "", 1, 0, 0) for user_id in user_ids]
    await engine.ask(user_address(user_ids[0]), RegisterUsers(caller=ADMIN, users=rows))


async def send(engine: Engine, send_id: str, recv_id: str, number: int) -> None:
    message = sdkws_pb2.MsgData(
        sendID=send_id, recvID=recv_id, sessionType=1, contentType=101, content=b"{}", clientMsgID=f"{number:032x}"
    )
    await engine.ask(address_of(message), SendMessage(caller=Caller(send_id, 5, "op"), message=message))


def left() -> dict[str, Any]:
    """What a process has that an engine might forget."""
    gc.collect()
    return {
        "tasks": len(asyncio.all_tasks()),
        "descriptors": sorted(os.readlink(f"/proc/self/fd/{fd}").split(":")[0] for fd in _descriptors()),
        "threads": {one.name for one in threading.enumerate() if one.name.startswith("greenroom")},
        "handlers": list(logging.getLogger().handlers),
        "signals": {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)},
        "levels": {name: one.level for name, one in _loggers().items()},
    }


def _descriptors() -> list[str]:
    return [fd for fd in os.listdir("/proc/self/fd") if os.path.lexists(f"/proc/self/fd/{fd}")]


def _loggers() -> dict[str, logging.Logger]:
    known = logging.Logger.manager.loggerDict
    return {name: one for name, one in known.items() if isinstance(one, logging.Logger) and one.handlers}


async def test_messages_survive_a_restart_of_the_engine(tmp_path: Path) -> None:
    engine = Engine(data_dir=tmp_path)
    async with engine:
        await register(engine, "a", "b")
        await send(engine, "a", "b", 1)
    async with engine:
        await send(engine, "a", "b", 2)
        assert await newest_seqs(engine.store, "a") == {"si_a_b": 2}


async def test_started_twice_is_refused() -> None:
    async with Engine(memory=True) as engine:
        with pytest.raises(RuntimeError, match="started"):
            await engine.start()
        await register(engine, "a")


async def test_question_before_start_has_a_clear_error() -> None:
    engine = Engine(memory=True)
    with pytest.raises(RuntimeError, match="the engine has not been started"):
        engine.status()
    with pytest.raises(RuntimeError, match="the engine has not been started"):
        await engine.not_ready()
    with pytest.raises(RuntimeError, match="the engine has not been started"):
        engine.ask(user_address("a"), RegisterUsers(caller=Caller("imAdmin", 1, ""), users=[UserRow("a", "A")]))


async def test_stop_before_start_and_stop_twice() -> None:
    engine = Engine(memory=True)
    await engine.stop()
    assert not engine.is_running
    await engine.start()
    await engine.stop()
    await engine.stop()
    assert not engine.is_running


async def test_two_engines_in_one_process(tmp_path: Path) -> None:
    async with Engine(data_dir=tmp_path / "one") as one, Engine(data_dir=tmp_path / "two") as two:
        await register(one, "a", "b")
        await send(one, "a", "b", 1)
        assert await two.store.users(["a"]) == []
    third = Engine(data_dir=tmp_path / "one")
    async with Engine(data_dir=tmp_path / "one"):
        with pytest.raises(DataDirectoryInUse):
            await third.start()
        assert not third.is_running


def blocking(entered: asyncio.Event) -> Callable[[Engine], list[ChildSpec]]:
    """A transport whose start never ends."""

    async def start() -> None:
        entered.set()
        await asyncio.Event().wait()

    return lambda _: [ChildSpec("blocking", lambda: Service(start, nothing))]


async def nothing() -> None:
    pass


async def fail() -> None:
    raise OSError("it cannot start")


def refuse(engine: Engine) -> list[ChildSpec]:
    raise ZeroDivisionError


FAILING: dict[str, tuple[Callable[[Engine], list[ChildSpec]], type[Exception]]] = {
    "a child that cannot start": (lambda _: [ChildSpec("failing", lambda: Service(fail, nothing))], EngineFell),
    "transports that cannot be made": (refuse, ZeroDivisionError),
}


@pytest.mark.parametrize("how", FAILING)
async def test_start_that_fails_leaves_nothing(tmp_path: Path, how: str) -> None:
    transports, expected = FAILING[how]
    async with Engine(data_dir=tmp_path):
        pass
    before = left()
    engine = Engine(data_dir=tmp_path, transports=transports)
    with pytest.raises(expected):
        await engine.start()
    assert not engine.is_running
    assert left() == before
    async with Engine(data_dir=tmp_path) as other:
        await register(other, "a")


async def test_start_that_is_cancelled_leaves_nothing(tmp_path: Path) -> None:
    async with Engine(data_dir=tmp_path):
        pass
    before = left()
    entered = asyncio.Event()
    engine = Engine(data_dir=tmp_path, transports=blocking(entered))
    starting = asyncio.create_task(engine.start())
    await entered.wait()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert left() == before
    async with Engine(data_dir=tmp_path) as other:
        await register(other, "a")


@pytest.mark.parametrize("is_kept", [True, False])
async def test_fifty_lives_leave_nothing(tmp_path: Path, is_kept: bool) -> None:
    async def live() -> None:
        async with Engine(data_dir=tmp_path) if is_kept else Engine(memory=True) as engine:
            await register(engine, f"u{next(numbers)}")

    numbers = iter(range(1000))
    await live()
    before = left()
    for _ in range(50):
        await live()
    assert left() == before


async def test_public_names() -> None:
    assert greenroom.Engine is Engine
    assert greenroom.Node.__name__ == "Node"


def test_without_a_loop_that_runs() -> None:
    """It may be made anywhere; the loop that it lives on is that of `start`."""
    engine = Engine(memory=True)
    work: Awaitable[None] = engine.start()
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
        loop.run_until_complete(engine.stop())
    finally:
        loop.close()


def test_engine_in_memory_takes_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="data_dir"):
        Engine(memory=True, data_dir=tmp_path)


async def test_subscriber_that_suppresses_its_cancellation_ends_with_the_engine() -> None:
    taken = asyncio.Event()

    class Stubborn:
        name = "stubborn"
        from_first_message = False

        async def take(self, events: Sequence[Event], *, missed: bool) -> None:
            taken.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

    before = asyncio.all_tasks()
    async with Engine(memory=True, subscribers=[Stubborn()]) as engine:
        await register(engine, "a")
        await asyncio.wait_for(taken.wait(), 10)
    assert asyncio.all_tasks() == before
