"""Actor hops a second, on our base against Thespian's simpleSystemBase, in the same run.

    .venv/bin/python tests/bench/actor_hops.py [--hops 400000] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from typing import Any

from thespian.actors import Actor, ActorSystem, ActorSystemMessage

from greenroom.actors.loop_base import LoopBase
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity

FAN = 100
"""Actors that one sender of the fan pattern sends to and hears from."""


class Start:
    """Tells an actor whom to play with, how often, and what to set when done."""

    def __init__(self, others: list[Any], hops: int, done: Any) -> None:
        self.others, self.hops, self.done = others, hops, done


class Player(Actor):  # type: ignore[misc]
    """Thespian's plain API, the same code on both bases. Sends back what it gets until the hops are done."""

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
    """What entities play with."""


BALL = Ball()


class EntityPlayer(Entity):
    """The same play by handlers found by message class."""

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
    """Thespian's own base, told from outside: it runs until all is done."""
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
    """Our base, on the loop that runs this."""
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


def main() -> int:
    """Print one line a pattern; the best of the rounds, taken in turns so that noise meets both."""
    import uvloop

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hops", type=int, default=400_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for name, fan in (("ping-pong", 1), (f"fan of {FAN}", FAN)):
        simple = plain = entity = 0.0
        for _ in range(options.rounds):
            simple = max(simple, on_simple(options.hops // 4, fan))
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                plain = max(plain, runner.run(on_loop(options.hops, fan, Player)))
                entity = max(entity, runner.run(on_loop(options.hops, fan, EntityPlayer)))
        sys.stdout.write(
            f"{name:12} simpleSystemBase {simple:9,.0f}/s   LoopBase {plain:9,.0f}/s (x{plain / simple:.1f})"
            f"   entities {entity:9,.0f}/s (x{entity / simple:.1f})\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
