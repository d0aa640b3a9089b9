"""Shared by the tests of failing actors: a gate in front of the store, and the stored and pushed messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from greenroom.actors import messages, slices
from greenroom.actors.group.group import Group
from greenroom.actors.messages import CreateGroup
from greenroom.actors.pair import Pair
from greenroom.actors.rules.ids import group_address
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.runtime.entity_cell import EntityCell
from greenroom.actors.user import User
from greenroom.actors.wire import group_pb2, sdkws_pb2
from greenroom.persistence.store import Reason, Refusal
from greenroom.tests.kit.engine_kit import caller
from greenroom.tests.kit.stored import messages_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pytest

    from greenroom.persistence.store import Slice
    from greenroom.tests.kit.engine_kit import KitEngine

__all__ = ["PAIR", "Gate", "crash", "crash_at", "group_of", "life_at", "plant", "shown", "stored"]

LifeT = TypeVar("LifeT", bound=Entity)

PAIR = Address("conversation", "a_b")


def life_at(engine: KitEngine, address: Address, kind: type[LifeT]) -> LifeT:
    """The entity that is awake at an address."""
    actor = engine.base.cells[address].actor
    assert isinstance(actor, kind)
    return actor


def crash(engine: KitEngine, address: Address) -> None:
    """End the incarnation at an address between two turns."""
    cell = engine.base.cells[address]
    assert isinstance(cell, EntityCell)
    cell.crash(ZeroDivisionError())


def plant(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, method: Any) -> None:
    """Replace a method of an actor's class, also for the actors that are already awake."""
    message = name.removeprefix("receiveMsg_")
    kind: type = getattr(messages, message, getattr(slices, message, type(None)))
    found = [each for each in (Pair, Group, User) if issubclass(each, owner) and hasattr(owner, name)]
    for each in found:
        each._handlers[kind]
    monkeypatch.setattr(owner, name, method)
    for each in found:
        monkeypatch.delitem(each._handlers, kind)  # The new method is looked up; after the test, the old one is back.


def crash_at(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *moments: str) -> list[str]:
    """Make the first calls of a method raise, "before" or "after" its work. Returns the `moments` not used yet."""
    real = getattr(owner, name)
    left = list(moments)

    def method(self: Any, *arguments: Any) -> Any:
        moment = left.pop(0) if left else ""
        if moment == "before":
            raise ZeroDivisionError
        done = real(self, *arguments)
        if moment == "after":
            raise ZeroDivisionError
        return done

    plant(monkeypatch, owner, name, method)
    return left


class Gate:
    """A gate in front of the store's commits: it delays them, or makes them fail."""

    def __init__(self, engine: KitEngine, monkeypatch: pytest.MonkeyPatch) -> None:
        self._commit = engine.world.store.commit
        self._free = asyncio.Event()
        self._free.set()
        self._arrived = asyncio.Event()
        self.fail: list[str] = []
        """The faults of the next batches: "before" (not stored) or "after" (stored, but reported as failed)."""
        self.batches: list[list[str]] = []
        """The keys of the slices of each batch, in order."""
        monkeypatch.setattr(engine.world.store, "commit", self.commit)

    async def commit(self, slices: Sequence[Slice]) -> list[Refusal | None]:
        self.batches.append([one.key for one in slices])
        self._arrived.set()
        await self._free.wait()
        mode = self.fail.pop(0) if self.fail else ""
        outcomes: list[Refusal | None] = [Refusal(Reason.FAILED, "of the test")] * len(slices)
        return outcomes if mode == "before" else (await self._commit(slices), outcomes)[mode == "after"]

    def hold(self) -> None:
        self._free.clear()
        self._arrived.clear()

    async def arrived(self) -> None:
        """Wait until a batch has reached the gate."""
        await self._arrived.wait()

    def release(self) -> None:
        self._free.set()


async def group_of(engine: KitEngine, group_id: str, *users: str) -> None:
    request = group_pb2.CreateGroupReq(
        ownerUserID=users[0], memberUserIDs=users[1:], groupInfo=sdkws_pb2.GroupInfo(groupID=group_id, groupType=2)
    )
    await engine.ask(group_address(group_id), CreateGroup(caller=caller(users[0]), request=request))


async def stored(engine: KitEngine, chat: str) -> list[tuple[int, str]]:
    messages = await messages_of(engine.world.store, chat)
    return [(one.seq, sdkws_pb2.MsgData.FromString(one.body).clientMsgID) for one in messages]


def shown(engine: KitEngine, user: str, chat: str) -> list[tuple[int, str]]:
    return [
        (one.message.seq, one.message.clientMsgID)
        for one in engine.sessions.received[user]
        if one.conversation_id == chat and one.message.contentType == 101
    ]
