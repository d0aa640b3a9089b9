"""Roster: the decided state of a group: its info, its members with their roles, and the version of the members' log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import GroupDismissed, NoPermission, RecordNotFound
from greenroom.actors.messages import Command, ProfileChanged
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import AppLevel, GroupStatus, Role
from greenroom.persistence import store

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["GROUP_ITSELF", "GroupCommand", "Member", "People", "Roster"]

GROUP_ITSELF = ""
"""The entry of a members' log for a change of the group's own info."""

Member = sdkws_pb2.GroupMemberFullInfo
People = dict[str, sdkws_pb2.UserInfo]
"""Profiles by user id; unknown users are missing."""
GroupCommand = Command | ProfileChanged


class Roster:
    """The members of a group and what they may do. Decisions read it and change it at once; the store follows later."""

    def __init__(self, group_id: str) -> None:
        self.id = group_id
        self.info: sdkws_pb2.GroupInfo | None = None
        """None if there is no such group."""
        self.members: dict[str, Member] = {}
        self.version = 1
        """The newest version of the members' log."""
        self.version_id = ""

    def existing(self) -> sdkws_pb2.GroupInfo:
        """The group's info. Raises RecordNotFound, GroupDismissed."""
        if self.info is None:
            raise RecordNotFound("no such group")
        if self.info.status == GroupStatus.DISMISSED:
            raise GroupDismissed
        return self.info

    def role_of(self, command: Command) -> int | None:
        """The caller's role, or None if they are not a member. A configured admin counts as the owner here."""
        if command.caller.is_admin:
            return Role.OWNER
        member = self.members.get(command.caller.user_id)
        return member.roleLevel if member is not None else None

    def need_role(self, command: Command, least: int) -> None:
        """Raises NoPermission if the caller's role is below `least`."""
        role = self.role_of(command)
        if role is None or role < least:
            raise NoPermission("the caller's role is too low")

    def shown(self, user_id: str, people: People) -> Member:
        """A member with the nickname and picture of their profile, unless they have others in this group."""
        member = Member()
        member.CopyFrom(self.members[user_id])
        user = people.get(user_id)
        if user is not None:
            member.nickname, member.faceURL = member.nickname or user.nickname, member.faceURL or user.faceURL
        return member

    def operator(self, command: GroupCommand, people: People) -> Member:
        """The user who runs the command (PROTOCOL 4.3, filling rules)."""
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
        """The write for one change of the members' log."""
        self.version += 1
        return store.BumpVersion("members", self.id, entries)

    def count(self) -> store.ChangeRow:
        """The write of the current number of members."""
        return store.ChangeRow("group", (self.id,), {"member_count": len(self.members)})

    def versions(self, user_ids: Iterable[str], state: int) -> list[store.AnyWrite]:
        """The writes for one change of the members' log, and for one of each user's joined groups."""
        ids = list(user_ids)
        joined = [store.BumpVersion("joined", user_id, [(self.id, state)]) for user_id in ids]
        return [self.bump([(user_id, state) for user_id in ids]), *joined]
