"""Domain events: committed changes that are not messages, as subscribers get them (see `feed`).

Each event is written in the slice of its change, so it is committed exactly when the change is.
"""

from __future__ import annotations

import msgspec

from greenroom.persistence.store import AddEvent, NotedEvent

__all__ = [
    "DomainEvent", "GroupCreated", "GroupEnded", "MembersJoined", "MembersLeft", "MuteChanged", "UserChanged",
    "UserRegistered", "add_event", "read_event",
]  # fmt: skip


class DomainEvent(msgspec.Struct, frozen=True, tag=True):
    """One event. Its kind in the store is the name of its class."""

    @property
    def subject(self) -> str:
        """Id of the user or group that the event is about."""
        raise NotImplementedError


class _OfUser(DomainEvent, frozen=True):
    user_id: str

    @property
    def subject(self) -> str:
        return self.user_id


class _OfGroup(DomainEvent, frozen=True):
    group_id: str

    @property
    def subject(self) -> str:
        return self.group_id


class UserRegistered(_OfUser, frozen=True):
    pass


class UserChanged(_OfUser, frozen=True):
    columns: list[str]
    """The columns of the profile that have new values."""


class GroupCreated(_OfGroup, frozen=True):
    owner_id: str


class GroupEnded(_OfGroup, frozen=True):
    pass


class MembersJoined(_OfGroup, frozen=True):
    user_ids: list[str]


class MembersLeft(_OfGroup, frozen=True):
    user_ids: list[str]
    is_kick: bool


class MuteChanged(_OfGroup, frozen=True):
    user_id: str
    """The member. Empty if the whole group is muted."""
    until: int
    """When the mute ends, in milliseconds since the epoch. 0: the mute has ended. -1: it has no end (a whole group)."""


_Known = UserRegistered | UserChanged | GroupCreated | GroupEnded | MembersJoined | MembersLeft | MuteChanged
_decoder = msgspec.json.Decoder(_Known)


def add_event(event: DomainEvent) -> AddEvent:
    """The write that commits an event together with its change."""
    return AddEvent(type(event).__name__, event.subject, msgspec.json.encode(event))


def read_event(noted: NotedEvent) -> DomainEvent:
    """Decode an event. Raises ValueError for a kind that this release does not know."""
    event: DomainEvent = _decoder.decode(noted.data)
    return event
