"""A store that hangs, fails or cannot be read: every sender is told, nothing waits for ever, nothing piles up."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.errors import Quarantined, StoreFailed
from greenroom.actors.lane import Lane, LaneQueue
from greenroom.actors.messages import SetReadSeq
from greenroom.actors.pair import Pair
from greenroom.actors.runtime.address import Address
from greenroom.actors.slices import AwaitWrites, CommitSlice
from greenroom.persistence import errors
from greenroom.persistence.refusal import Reason, Refusal
from greenroom.tests.kit.engine_kit import KitEngine, caller, running_engine
from greenroom.tests.kit.fault_kit import PAIR, crash, life_at
from greenroom.tests.kit.stored import messages_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from greenroom.persistence.store import Slice

TIMEOUT_S = 0.2


class Hang:
    """Commits that do not return while it is set."""

    def __init__(self, engine: KitEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._commit = engine.world.store.commit
        self._free = asyncio.Event()
        self.arrived = asyncio.Event()
        monkeypatch.setattr(engine.world.store, "commit", self.commit)

    async def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        self.arrived.set()
        await self._free.wait()
        return await self._commit(slices)

    def over(self) -> None:
        self._free.set()


@pytest.fixture
async def quick() -> AsyncIterator[KitEngine]:
    """An engine whose senders are told soon."""
    async with running_engine(GREENROOM_STORE_WRITE_TIMEOUT_S=str(TIMEOUT_S)) as engine:
        yield engine


def queue_of(engine: KitEngine) -> LaneQueue:
    return life_at(engine, Address("fixed", "lane-0"), Lane).queue


async def seqs(engine: KitEngine, chat: str) -> list[int]:
    return [one.seq for one in await messages_of(engine.world.store, chat)]


async def test_answer_that_arrives_while_the_process_is_stopped(
    quick: KitEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The check of overdue slices comes late itself, before the answer is read: the store is not to blame."""
    await quick.register("a", "b")
    real = quick.world.store.commit

    async def stopped(slices: Sequence[Slice]) -> list[Refusal | None]:
        outcomes = await real(slices)
        await asyncio.sleep(0)
        time.sleep(2 * TIMEOUT_S)  # noqa: ASYNC251 (the whole process stops)
        for _ in range(3):
            await asyncio.sleep(0)
        return outcomes

    monkeypatch.setattr(quick.world.store, "commit", stopped)
    await quick.send(quick.message("a", "b"))
    assert "does not answer" not in caplog.text
    assert await seqs(quick, "si_a_b") == [1]


async def test_hung_commit(quick: KitEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the batch, behind it, in a draft: all are told. What comes then is refused at once, and nothing is kept."""
    names = [f"u{number}" for number in range(300)]
    await quick.register("a", "b", *names)
    hang = Hang(quick, monkeypatch)
    sealed = quick.send(quick.message("a", "b", clientMsgID="sealed"))
    await hang.arrived.wait()
    drafted = quick.send(quick.message("a", "b", clientMsgID="drafted"))
    waiting = [quick.send(quick.message(name, "b", clientMsgID="waiting")) for name in names]
    for send in (sealed, drafted, *waiting):
        with pytest.raises(StoreFailed):
            await send
    queue = queue_of(quick)
    for _ in range(3):
        for name in names:
            with pytest.raises(StoreFailed):
                await quick.send(quick.message(name, "b"))
        with pytest.raises(StoreFailed):
            await quick.send(quick.message("b", "a"))
        assert len(queue.waiting) == 0
        assert len(queue.owners) == 1
    hang.over()
    # What was told to be late may be stored all the same, what was refused is not: resends find out, once each.
    for name in ("drafted", "sealed"):
        await quick.send(quick.message("a", "b", clientMsgID=name))
    assert await seqs(quick, "si_a_b") == [1, 2]
    for name in names[:3]:
        await quick.send(quick.message(name, "b", clientMsgID="waiting"))
        assert await seqs(quick, "si_" + "_".join(sorted((name, "b")))) == [1]
    assert quick.base.quarantined() == []
    assert not queue.owners


async def test_draft_behind_a_hung_commit_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"GREENROOM_STORE_WRITE_TIMEOUT_S": str(TIMEOUT_S), "GREENROOM_MESSAGE_SENDS_IN_FLIGHT": "8"}
    async with running_engine(**environ) as engine:
        await engine.register("a", "b")
        await engine.send(engine.message("a", "b"))
        hang = Hang(engine, monkeypatch)
        sealed = engine.send(engine.message("a", "b", clientMsgID="sealed"))
        await hang.arrived.wait()
        pair = Address("conversation", "a_b")
        for _ in range(3):
            mark_read = SetReadSeq(caller=caller("b"), conversation_id="si_a_b", user_id="b", has_read_seq=1)
            for mark in [engine.ask(pair, mark_read) for _ in range(20)]:
                with pytest.raises(StoreFailed):
                    await mark
            draft = life_at(engine, pair, Pair)._draft if engine.base.awake(pair) else None
            assert draft is None or len(draft.items) <= 8
        hang.over()
        with pytest.raises(StoreFailed):
            await sealed
        await engine.send(engine.message("a", "b", clientMsgID="after"))
        assert await seqs(engine, "si_a_b") == [1, 2, 3]


async def test_crashed_owner_of_a_hung_slice(quick: KitEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next life may not load before the slice is settled: who asks it meanwhile is told, too."""
    await quick.register("a", "b")
    hang = Hang(quick, monkeypatch)
    sealed = quick.send(quick.message("a", "b", clientMsgID="sealed"))
    await hang.arrived.wait()
    quick.base.kill(Address("conversation", "a_b"))
    behind = quick.send(quick.message("a", "b", clientMsgID="behind"))
    for send in (sealed, behind):
        with pytest.raises(StoreFailed):
            await send
    hang.over()
    await quick.send(quick.message("a", "b", clientMsgID="after"))
    assert await seqs(quick, "si_a_b") == [1, 2]
    assert quick.sessions.seqs("b", "si_a_b") == [1, 2]


async def test_late_slice_of_an_entity_in_quarantine(quick: KitEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its senders are told in time, and what is stored late is pushed once the quarantine is over."""
    await quick.register("a", "b")
    hang = Hang(quick, monkeypatch)
    sealed = quick.send(quick.message("a", "b", clientMsgID="sealed"))
    await hang.arrived.wait()
    for _ in range(3):
        quick.base.tell(PAIR, object())
        await asyncio.sleep(0)
        crash(quick, PAIR)
    assert quick.base.quarantined() == [PAIR]
    with pytest.raises(Quarantined):
        await sealed
    hang.over()
    await quick.sessions.until_pushed("b", "si_a_b", 1)


@pytest.mark.parametrize("at", [CommitSlice, AwaitWrites, None], ids=["CommitSlice", "AwaitWrites", "on_turn_end"])
async def test_lane_that_crashes_on_a_message(
    engine: KitEngine, monkeypatch: pytest.MonkeyPatch, at: type | None
) -> None:
    """Whether it had noted the message or not, its owner does not wait for ever, and nothing comes twice."""
    await engine.register("a", "b", "c")
    await engine.send(engine.message("a", "b"))
    real = Lane.on_turn_end if at is None else Lane._handlers[at]
    crashes: list[Lane] = []

    def crash(self: Lane, *message: Any) -> None:
        if not crashes:
            crashes.append(self)
            raise ZeroDivisionError
        real(self, *message)

    if at is None:
        monkeypatch.setattr(Lane, "on_turn_end", crash)
    else:
        monkeypatch.setitem(Lane._handlers, at, crash)
    for number in range(2):
        for to in ("b", "c"):
            message = engine.message("a", to, clientMsgID=f"m{number}")
            try:
                async with asyncio.timeout(5):
                    await engine.send(message)
            except StoreFailed:
                await engine.send(message)
    assert len(crashes) == 1
    assert await seqs(engine, "si_a_b") == [1, 2, 3]
    assert await seqs(engine, "si_a_c") == [1, 2]
    for to, newest in (("b", 3), ("c", 2)):
        assert engine.sessions.seqs(to, f"si_a_{to}") == list(range(1, newest + 1))
    assert engine.base.quarantined() == []


@pytest.mark.parametrize("read", ["key", "pair_facts"])
async def test_store_that_cannot_be_read(engine: KitEngine, monkeypatch: pytest.MonkeyPatch, read: str) -> None:
    """No crash: nobody is charged, nothing is quarantined, and the chat works as soon as the store does."""
    await engine.register("a", "b", "c")
    fails = True
    real = getattr(engine.world.store, read)

    async def reading(*arguments: Any) -> Any:
        if fails:
            raise errors.StoreUnavailable("of the test")
        return await real(*arguments)

    monkeypatch.setattr(engine.world.store, read, reading)
    charged: list[Any] = []
    monkeypatch.setattr(engine.base, "on_crash", lambda *what: charged.append(what))
    for _ in range(4):
        with pytest.raises(StoreFailed) as caught:
            await engine.send(engine.message("a", "b"))
        assert caught.value.retryable
    fails = False
    await engine.send(engine.message("c", "b"))
    await engine.send(engine.message("a", "b"))
    assert await seqs(engine, "si_a_b") == [1]
    assert charged == []
    assert engine.base.quarantined() == []


async def test_store_that_fails_again_and_again(
    quick: KitEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when the writer is behind: clients that send much cannot fill the log with it."""
    await quick.register("a", "b")
    real, refusals = quick.world.store.commit, [Refusal(Reason.FAILED, "the writer is behind"), None]

    async def commit(slices: Sequence[Slice]) -> list[Refusal | None]:
        refusal = refusals[0]
        refusals.reverse()
        return [refusal] * len(slices) if refusal else await real(slices)

    monkeypatch.setattr(quick.world.store, "commit", commit)
    for _ in range(20):
        with pytest.raises(StoreFailed):
            await quick.send(quick.message("a", "b"))
        await quick.send(quick.message("a", "b"))
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
