"""`greenroom serve` with crashes planted: run as a module, with a plan in the environment.

CRASH_PLAN is JSON: `actor` (a class's name), `messages` (of these classes the handlers crash), `share` (of them, from
0 to 1), `seed`, `ids` (only actors whose ids end so; all if empty). Half of the crashes come before the handler has
done its work, half after it. SIGUSR1 turns them on, and off again.

CRASH_CHILD names fixed children ("root": the supervisor), with commas: at each SIGUSR2 the next one crashes,
CRASH_TIMES times.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

from greenroom.actors.group.group import Group
from greenroom.actors.pair import Pair
from greenroom.actors.runtime.address import Address
from greenroom.actors.runtime.entity import Entity
from greenroom.actors.user import User
from greenroom.supervisor import Node
from greenroom.transport.gateway.connection import ConnectionActor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Crash", "plant_crash"]

CLASSES = {"User": User, "Pair": Pair, "Group": Group, "ConnectionActor": ConnectionActor}
armed = False


class Crash:
    """A message to a fixed child: crash."""


def _crash(self: Entity, message: Crash, sender: Address) -> None:
    raise RuntimeError("planted")


def plant_crash() -> None:
    """After this call, every entity crashes on a `Crash`."""
    setattr(Entity, "receiveMsg_Crash", _crash)  # noqa: B010 (mypy)


def _plant(plan: dict[str, Any]) -> None:
    owner = CLASSES[plan["actor"]]
    rng = random.Random(plan["seed"])
    share: float = plan["share"]
    ids = tuple(plan["ids"]) or ("",)

    def crashing(real: Callable[[Any, Any, Any], None]) -> Callable[[Any, Any, Any], None]:
        @wraps(real)
        def handler(self: Any, message: Any, sender: Any) -> None:
            dice = 1.0
            if armed and self.myAddress.id.endswith(ids) and type(self) is owner:
                dice = rng.random()
            if dice < share / 2:
                raise RuntimeError("planted")
            real(self, message, sender)
            if dice < share:
                raise RuntimeError("planted")

        return handler

    for name in plan["messages"]:
        setattr(owner, f"receiveMsg_{name}", crashing(getattr(owner, f"receiveMsg_{name}")))


def _toggle() -> None:
    global armed
    armed = not armed


def _crash_child(node: Node, children: list[str]) -> None:
    child = children.pop(0)
    for _ in range(int(os.environ.get("CRASH_TIMES", "1"))):
        node.engine.base.tell(Address("fixed", child), Crash())


def main() -> None:
    from greenroom.__main__ import main as run

    if "CRASH_PLAN" in os.environ:
        _plant(json.loads(os.environ["CRASH_PLAN"]))
    plant_crash()
    start = Node.start
    children = os.environ.get("CRASH_CHILD", "").split(",")

    async def start_and_listen(self: Node) -> None:
        await start(self)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, _toggle)
        loop.add_signal_handler(signal.SIGUSR2, partial(_crash_child, self, children))

    Node.start = start_and_listen  # type: ignore[method-assign]
    run()


if __name__ == "__main__":
    main()
