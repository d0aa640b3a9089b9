"""Effects: what an entity does after the commit, in order. Each runs once, in the incarnation that exists by then."""

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
"""The address that waits for an answer, and the `ref` of its command."""


class Host(Protocol):
    """What effects use of the entity that runs them."""

    world: World

    def send(self, targetAddress: Address, msg: Any) -> None: ...

    def deliver(self, push: Push, user_ids: tuple[str, ...] | None, also: tuple[str, ...]) -> None:
        """Push to these users. None means the entity's audience, and the users of `also` who are not in it."""

    def join(self, user_ids: Iterable[str]) -> None:
        """From now on these users belong to the entity's audience while they are online."""

    def leave(self, user_ids: Iterable[str]) -> None:
        """From now on these users no longer belong to the entity's audience."""


class Effect:
    """Something that the entity does after the commit."""

    def run(self, entity: Host) -> None:
        raise NotImplementedError

    def fail(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        """Answer the askers that wait for this effect with an error, because it will not be run."""


class Reply(Effect):
    """Answer the askers. The list is empty if they have already been answered with an error."""

    def __init__(self, askers: list[Asker], value: Any) -> None:
        self.askers = askers
        self.value = value

    def run(self, entity: Host) -> None:
        for address, ref in self.askers:
            entity.send(address, Answer(ref, self.value))
        self.askers.clear()

    def fail(self, send: Callable[[Address, Any], None], error: GreenroomError) -> None:
        for address, ref in self.askers:
            send(address, Failed(ref, error))
        self.askers.clear()


class Deliver(Effect):
    """Push one message to users. If `user_ids` is None, push it to the entity's audience."""

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
    """Facts about these users have changed: copies of the facts are out of date."""

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
