"""Who takes part in a load: users, their devices and groups, who writes where, and the ids of messages."""

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
    """A group that must exist; its first member owns it."""

    group_id: str
    members: tuple[int, ...]


class Population:
    """It follows from the scenario and the tag alone, so each process of a load works it out for itself.

    The tag differs in each run: conversations begin empty, and no run meets the messages of another. Devices are
    numbered by their place in `devices`; those of one user stand together.
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
        """Conversation -> the users in it. A load writes to no other."""
        self.conversations_of: dict[int, list[str]] = {}
        """User -> their conversations."""
        for conversation_id, members in self.members.items():
            for user in members:
                self.conversations_of.setdefault(user, []).append(conversation_id)

    def share(self, part: int, parts: int) -> range:
        """The devices of one of several processes. The devices of a user stay together, and so does a pair."""
        per_user = len(self.scenario.client.platforms)
        pairs = (len(self.user_ids) + 1) // 2
        first, last = (pairs * at // parts * 2 * per_user for at in (part, part + 1))
        return range(first, min(last, len(self.devices)))

    def devices_of(self, user: int) -> range:
        per_user = len(self.scenario.client.platforms)
        return range(user * per_user, (user + 1) * per_user)

    def destination(self, talk: int, user: int, rng: random.Random) -> Destination | None:
        """Where this user writes to in one of the scenario's `talks`; None if they take no part in it."""
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
        """A generator for one purpose; it is the same in each run with the scenario's seed."""
        return random.Random(f"{self.scenario.seed}/{'/'.join(map(str, names))}")

    def client_msg_id(self, place: int, number: int, planned_ns: int) -> str:
        """The id of a device's message with this number. It tells when the message was planned."""
        return f"{self._id_prefix}{place:x}-{number:x}-{planned_ns:x}"

    def planned_ns_of(self, client_msg_id: str) -> int:
        """When a message of this run was planned; -1 if it is none of this run's."""
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
