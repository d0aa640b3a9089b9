"""The users of a load, their devices and groups, the destinations of their messages, and the ids of messages."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec

from greenroom.transport.client.client_message import direct_conversation_id, group_conversation_id
from greenroom.transport.load.scenario import DirectTalk, GroupTalk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom.transport.load.scenario import Scenario

__all__ = ["Destination", "DeviceName", "LoadGroup", "Population"]


class DeviceName(msgspec.Struct, frozen=True):
    """One device of one user."""

    user: int
    user_id: str
    platform_id: int

    @property
    def in_history(self) -> str:
        return f"{self.user_id}/{self.platform_id}#0"

    @property
    def of_token(self) -> str:
        return f"{self.user_id}/{self.platform_id}"


class Destination(msgspec.Struct, frozen=True):
    """Where a message goes: to a user or to a group."""

    conversation_id: str
    recv_id: str
    group_id: str


class LoadGroup(msgspec.Struct, frozen=True):
    """A group that the load needs. Its first member is its owner."""

    group_id: str
    members: tuple[int, ...]


class Population:
    """It depends only on the scenario and the tag, so each process of a load computes it for itself.

    Each run has a tag of its own: its conversations are empty at first, and no run receives the messages of another.
    A device is known by its place in `devices`; the devices of one user are adjacent.
    """

    def __init__(self, scenario: Scenario, *, tag: str) -> None:
        self.scenario = scenario
        self._tag = tag
        self._id_prefix = f"{tag}-"
        self.user_ids = [f"load{tag}u{number}" for number in range(scenario.users)]
        self.devices = [
            DeviceName(number, user_id, platform)
            for number, user_id in enumerate(self.user_ids)
            for platform in scenario.client.platforms
        ]
        self.groups: list[LoadGroup] = []
        self._groups_of_user: dict[tuple[int, int], list[LoadGroup]] = {}
        for number, step in enumerate(scenario.talks):
            if isinstance(step, GroupTalk):
                self._add_groups(number, step)
        self.members: dict[str, tuple[int, ...]] = dict(self._conversations())
        """Conversation -> its users, for all conversations that the load writes to."""
        self.conversations_of: dict[int, list[str]] = {}
        """User -> their conversations."""
        for conversation_id, members in self.members.items():
            for user in members:
                self.conversations_of.setdefault(user, []).append(conversation_id)

    def share(self, part: int, parts: int) -> range:
        """The places of the devices of one process. The devices of a user, and of a pair, are in the same process."""
        per_user = len(self.scenario.client.platforms)
        pairs = (len(self.user_ids) + 1) // 2
        first, last = (pairs * at // parts * 2 * per_user for at in (part, part + 1))
        return range(first, min(last, len(self.devices)))

    def devices_of(self, user: int) -> range:
        per_user = len(self.scenario.client.platforms)
        return range(user * per_user, (user + 1) * per_user)

    def destination(self, talk: int, user: int, rng: random.Random) -> Destination | None:
        """The destination of this user's next message in one of the `talks`; None if they do not take part in it."""
        if isinstance(self.scenario.talks[talk], DirectTalk):
            peer = user ^ 1
            if peer >= len(self.user_ids):
                return None
            recv_id = self.user_ids[peer]
            return Destination(direct_conversation_id(self.user_ids[user], recv_id), recv_id, "")
        groups = self._groups_of_user.get((talk, user))
        if not groups:
            return None
        group = groups[0] if len(groups) == 1 else rng.choice(groups)
        return Destination(group_conversation_id(group.group_id), "", group.group_id)

    def seeded(self, *names: object) -> random.Random:
        """A random generator for one purpose. It is the same in each run with the same seed."""
        return random.Random(f"{self.scenario.seed}/{'/'.join(map(str, names))}")

    def client_msg_id(self, place: int, number: int, planned_ns: int) -> str:
        """The id of the device's message with this number. It contains the planned time."""
        return f"{self._id_prefix}{place:x}-{number:x}-{planned_ns:x}"

    def planned_ns_of(self, client_msg_id: str) -> int:
        """The planned time of a message of this run; -1 for any other message."""
        return int(client_msg_id.rpartition("-")[2], 16) if client_msg_id.startswith(self._id_prefix) else -1

    def _add_groups(self, talk: int, step: GroupTalk) -> None:
        users = len(self.user_ids)
        size = step.members or users // step.groups
        for number in range(step.groups):
            first = number * size
            members = tuple(sorted({(first + offset) % users for offset in range(size)}))
            group = LoadGroup(f"load{self._tag}g{talk}x{number}", members)
            self.groups.append(group)
            for user in members:
                self._groups_of_user.setdefault((talk, user), []).append(group)

    def _conversations(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        if any(isinstance(step, DirectTalk) for step in self.scenario.talks):
            for user in range(0, len(self.user_ids) - 1, 2):
                yield direct_conversation_id(self.user_ids[user], self.user_ids[user + 1]), (user, user + 1)
        for group in self.groups:
            yield group_conversation_id(group.group_id), group.members
