"""Actor hops per second, on our base and on Thespian's simpleSystemBase, in the same run."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING, Any

import uvloop
from thespian.actors import Actor, ActorSystem, ActorSystemMessage

from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.base import LoopBase
from greenroom.actors.runtime.entity import Entity
from greenroom.tests.bench.measure import Figure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

FAN = 100
"""Number of actors that one sender of the fan pattern exchanges messages with."""


class Start:
    """A message to an actor: its partners, the number of hops, and the event to set at the end."""

    def __init__(self, others: list[Any], hops: int, done: Any) -> None:
        self.others, self.hops, self.done = others, hops, done


class Player(Actor):
    """Thespian's plain API, the same code on both bases. It returns each message until the hops are done."""

    left = 0
    done: Any = None

    def receiveMessage(self, message: Any, sender: Any) -> None:
        if message == 1:
            if self.done is None:
                self.send(sender, 1)
                return
            self.left -= 2
            if self.left > 0:
                self.send(sender, 1)
            elif self.done is not None:
                self.done.set()
        elif isinstance(message, Start):
            self.left, self.done = message.hops, message.done
            for other in message.others:
                self.send(other, 1)
        elif isinstance(message, ActorSystemMessage):
            pass


class Ball:
    """The message that entities exchange."""


BALL = Ball()


class EntityPlayer(Entity):
    """The same exchange with handlers that are looked up by message class."""

    left = 0
    done: Any = None

    def receiveMsg_Ball(self, message: Ball, sender: Address) -> None:
        if self.done is None:
            self.send(sender, message)
            return
        self.left -= 2
        if self.left > 0:
            self.send(sender, message)
        else:
            self.done.set()

    def receiveMsg_Start(self, message: Start, sender: Address) -> None:
        self.left, self.done = message.hops, message.done
        for other in message.others:
            self.send(other, BALL)


def on_simple(hops: int, fan: int) -> float:
    """Thespian's own base, driven from outside: it runs until all hops are done."""
    system = ActorSystem("simpleSystemBase", logDefs=False, transientUnique=True)
    player = system.createActor(Player)
    others = [system.createActor(Player) for _ in range(fan)]
    done = threading.Event()
    began = time.perf_counter()
    system.tell(player, Start(others, hops, done))
    taken = time.perf_counter() - began
    assert done.is_set()
    system.shutdown()
    return hops / taken


async def on_loop(hops: int, fan: int, player_class: type[Actor]) -> float:
    """Our base, on the running loop."""
    base = LoopBase(asyncio.get_running_loop())
    player = base.spawn(Address("player", "0"), player_class)
    others = [base.spawn(Address("player", str(n)), player_class) for n in range(1, fan + 1)]
    done = asyncio.Event()
    began = time.perf_counter()
    base.tell(player, Start(others, hops, done))
    await done.wait()
    taken = time.perf_counter() - began
    await base.shutdown()
    return hops / taken


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    """Both bases in turns. Each run has a loop of its own, on a thread of its own."""
    hops = int(80_000 * seconds)
    for name, fan in (("ping-pong", 1), (f"fan of {FAN}", FAN)):
        plain: list[float] = []
        entity: list[float] = []
        for _ in range(repeats):
            simple = await asyncio.to_thread(on_simple, hops // 4, fan)
            plain.append(await asyncio.to_thread(_on_fresh_loop, hops, fan, Player) / simple)
            entity.append(await asyncio.to_thread(_on_fresh_loop, hops, fan, EntityPlayer) / simple)
        yield Figure(f"actor hops / simpleSystemBase, {name}", plain, "ratio", "the same Thespian actors")
        yield Figure(f"entity hops / simpleSystemBase, {name}", entity, "ratio")


def _on_fresh_loop(hops: int, fan: int, player_class: type[Actor]) -> float:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(on_loop(hops, fan, player_class))
