"""Roster: a group as it has been decided: its info, its members with their roles, and the version of their log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import GroupDismissed, NoPermission, RecordNotFound
from greenroom.actors.messages import Command, ProfileChanged
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import AppLevel, GroupStatus, Role
from greenroom.persistence import store

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GROUP_ITSELF", "Asking", "Member", "People", "Roster"]

GROUP_ITSELF = ""
"""The entry of a members' log that stands for the group's own info."""

Member = sdkws_pb2.GroupMemberFullInfo
People = dict[str, sdkws_pb2.UserInfo]
"""Profiles by user; unknown users are missing."""
Asking = Command | ProfileChanged


class Roster:
    """Who is in a group and who may do what. Decisions read it and change it at once; the store follows."""

    def __init__(self, group_id: str) -> None:
        self.id = group_id
        self.info: sdkws_pb2.GroupInfo | None = None
        """None: there is no such group."""
        self.members: dict[str, Member] = {}
        self.version = 1
        """The newest of the members' version log."""
        self.version_id = ""

    def existing(self) -> sdkws_pb2.GroupInfo:
        """The group's info. Raises RecordNotFound, GroupDismissed."""
        if self.info is None:
            raise RecordNotFound("no such group")
        if self.info.status == GroupStatus.DISMISSED:
            raise GroupDismissed
        return self.info

    def role_of(self, command: Command) -> int | None:
        """The caller's role; a configured admin stands between owner and group admins; None: no member."""
        if command.caller.is_admin:
            return Role.OWNER
        member = self.members.get(command.caller.user_id)
        return member.roleLevel if member is not None else None

    def need_role(self, command: Command, least: int) -> None:
        """Raises NoPermission."""
        role = self.role_of(command)
        if role is None or role < least:
            raise NoPermission("the caller's role is too low")

    def shown(self, user_id: str, people: People) -> Member:
        """A member with what is shown of them: the profile's nickname and picture, unless the group has its own."""
        member = Member()
        member.CopyFrom(self.members[user_id])
        user = people.get(user_id)
        if user is not None:
            member.nickname, member.faceURL = member.nickname or user.nickname, member.faceURL or user.faceURL
        return member

    def operator(self, command: Asking, people: People) -> Member:
        """Who does what the command asks for (PROTOCOL 4.3, filling rules)."""
        user_id = command.caller.user_id
        user = people.get(user_id, sdkws_pb2.UserInfo(userID=user_id))
        profile = Member(groupID=self.id, userID=user_id, nickname=user.nickname, faceURL=user.faceURL)
        if command.caller.is_admin:
            profile.roleLevel, profile.appMangerLevel = Role.ADMIN, AppLevel.ADMIN
            return profile
        if user_id in self.members:
            return self.shown(user_id, people)
        profile.operatorUserID, profile.appMangerLevel = user_id, user.appMangerLevel
        return profile

    def bump(self, entries: list[tuple[str, int]]) -> store.BumpVersion:
        """One change of the members' log."""
        self.version += 1
        return store.BumpVersion("members", self.id, entries)

    def count(self) -> store.ChangeRow:
        """How many members there are now."""
        return store.ChangeRow("group", (self.id,), {"member_count": len(self.members)})

    def versions(self, user_ids: Iterable[str], state: int) -> list[store.Block]:
        """One change of the members' log, and one of each user's joined groups."""
        ids = list(user_ids)
        joined = [store.BumpVersion("joined", user_id, [(self.id, state)]) for user_id in ids]
        return [self.bump([(user_id, state) for user_id in ids]), *joined]
