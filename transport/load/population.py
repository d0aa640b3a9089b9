"""Who takes part: users, their devices and groups, and who writes where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from greenroom.transport.load.scenario import Direct, Group

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from greenroom.transport.load.scenario import Scenario

__all__ = ["DeviceName", "GroupOf", "Population", "Target"]


class DeviceName(msgspec.Struct, frozen=True, gc=False):
    """One device of one user; `text` names it in the history."""

    user: int
    user_id: str
    platform_id: int

    @property
    def text(self) -> str:
        return f"{self.user_id}/{self.platform_id}#0"


class Target(msgspec.Struct, frozen=True, gc=False):
    """Where a message goes."""

    conversation_id: str
    recv_id: str
    group_id: str


class GroupOf(msgspec.Struct, frozen=True):
    """A group that must exist: the first member owns it."""

    group_id: str
    members: tuple[int, ...]


class Population:
    """Everything here follows from the scenario and the tag, so that each process of a load works it out for
    itself. The tag is another one in each run: conversations begin empty, and no run meets another's messages."""

    def __init__(self, scenario: Scenario, *, tag: str) -> None:
        self._tag = tag
        self.user_ids = [f"load{self._tag}u{number}" for number in range(scenario.users)]
        self.devices = [
            DeviceName(number, user_id, platform)
            for number, user_id in enumerate(self.user_ids)
            for platform in scenario.client.platforms
        ]
        self.groups: list[GroupOf] = []
        self._groups_of_step: dict[int, list[GroupOf]] = {}
        self._groups_of_user: dict[tuple[int, int], list[GroupOf]] = {}
        self._steps = scenario.talks
        for place, step in enumerate(self._steps):
            if isinstance(step, Group):
                self._found(place, step, scenario.users)
        self.members: dict[str, tuple[int, ...]] = dict(self._conversations())
        """Conversation -> the users in it. All that a load may write to."""
        self.of_user: dict[int, list[str]] = {}
        """User -> his conversations."""
        for conversation_id, members in self.members.items():
            for user in members:
                self.of_user.setdefault(user, []).append(conversation_id)

    def target(self, place: int, user: int, rng: random.Random) -> Target | None:
        """Where this user writes to in the step at this place; None if he takes no part in it."""
        if isinstance(self._steps[place], Direct):
            peer = self._peer(user)
            if peer is None:
                return None
            recv_id = self.user_ids[peer]
            return Target(_direct(self.user_ids[user], recv_id), recv_id, "")
        mine = self._groups_of_user.get((place, user))
        if not mine:
            return None
        group = mine[0] if len(mine) == 1 else rng.choice(mine)
        return Target(f"sg_{group.group_id}", "", group.group_id)

    def _peer(self, user: int) -> int | None:
        peer = user ^ 1
        return peer if peer < len(self.user_ids) else None

    def _found(self, place: int, step: Group, users: int) -> None:
        size = step.members or users // step.groups
        for number in range(step.groups):
            first = number * size
            members = tuple(sorted({(first + offset) % users for offset in range(size)}))
            group = GroupOf(f"load{self._tag}g{place}x{number}", members)
            self.groups.append(group)
            for user in members:
                self._groups_of_user.setdefault((place, user), []).append(group)

    def _conversations(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        if any(isinstance(step, Direct) for step in self._steps):
            for user in range(0, len(self.user_ids) - 1, 2):
                yield _direct(self.user_ids[user], self.user_ids[user + 1]), (user, user + 1)
        for group in self.groups:
            yield f"sg_{group.group_id}", group.members


def _direct(one: str, other: str) -> str:
    first, second = sorted((one, other), key=str.encode)
    return f"si_{first}_{second}"
