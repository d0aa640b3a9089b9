"""Effects: what leaves an entity after the commit, in order. Each is run once, by whichever life there is then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from greenroom.actors.runtime.replies import Answer, Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from greenroom.actors.errors import GreenroomError
    from greenroom.actors.messages import Push
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.world import World

__all__ = ["Asker", "Deliver", "Effect", "FactsChanged", "Host", "Join", "Leave", "Reply", "Tell"]

Asker = tuple["Address", Any]
"""Who waits for an answer, and the mark that they gave their command."""


class Host(Protocol):
    """The entity that runs effects, as they see it."""

    world: World

    def send(self, targetAddress: Address, msg: Any) -> None: ...

    def deliver(self, push: Push, user_ids: tuple[str, ...] | None, also: tuple[str, ...]) -> None:
        """Push to these users; None: to the entity's audience, and to those of `also` who are not in it."""

    def join(self, user_ids: Iterable[str]) -> None:
        """From now on these users are in the entity's audience while they are online."""

    def leave(self, user_ids: Iterable[str]) -> None:
        """From now on these users are not in the entity's audience."""


class Effect:
    """Something that leaves the entity after the commit."""

    def run(self, entity: Host) -> None:
        raise NotImplementedError

    def lost(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        """It will not be run: tell those who wait for it."""


class Reply(Effect):
    """Answer those who wait. The list is emptied when they were told of a failure before."""

    def __init__(self, askers: list[Asker], value: Any) -> None:
        self.askers = askers
        self.value = value

    def run(self, entity: Host) -> None:
        for address, ref in self.askers:
            entity.send(address, Answer(ref, self.value))
        self.askers.clear()

    def lost(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        for address, ref in self.askers:
            send(address, Failed(ref, error))
        self.askers.clear()


class Deliver(Effect):
    """Push one message to users; `user_ids` None: to the entity's audience."""

    def __init__(self, push: Push, user_ids: tuple[str, ...] | None, also: tuple[str, ...] = ()) -> None:
        self.push = push
        self.user_ids = user_ids
        self.also = also

    def run(self, entity: Host) -> None:
        entity.deliver(self.push, self.user_ids, self.also)


class Tell(Effect):
    """Send one message to several actors."""

    def __init__(self, addresses: Iterable[Address], message: Any) -> None:
        self.addresses = tuple(addresses)
        self.message = message

    def run(self, entity: Host) -> None:
        for address in self.addresses:
            entity.send(address, self.message)


class FactsChanged(Effect):
    """Facts about these users have changed: copies of them are old."""

    def __init__(self, user_ids: Iterable[str]) -> None:
        self.user_ids = tuple(user_ids)

    def run(self, entity: Host) -> None:
        for user_id in self.user_ids:
            entity.world.facts.changed(user_id)


class Join(Effect):
    """Users join the entity's audience."""

    def __init__(self, user_ids: Iterable[str]) -> None:
        self.user_ids = tuple(user_ids)

    def run(self, entity: Host) -> None:
        entity.join(self.user_ids)


class Leave(Effect):
    """Users leave the entity's audience."""

    def __init__(self, user_ids: Iterable[str]) -> None:
        self.user_ids = tuple(user_ids)

    def run(self, entity: Host) -> None:
        entity.leave(self.user_ids)
