"""What every change of a group is made of: who asks, its version entries, its tip, and who hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.actors import render
from greenroom.actors.conversation import Send
from greenroom.actors.errors import NoPermission
from greenroom.actors.messages import Command, ProfileChanged
from greenroom.actors.rules import notifications as notices
from greenroom.actors.rules.ids import GROUP, chat_id, notification_id
from greenroom.actors.stored_entity import Deliver, Effect, Item, StoredEntity
from greenroom.actors.wire import sdkws_pb2
from greenroom.persistence import store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from greenroom.actors.group.group import Group
    from greenroom.actors.messages import CommitSlice
    from greenroom.actors.runtime.address import Address

__all__ = [
    "ADMIN", "DELETE", "DISMISSED", "GROUP_ITSELF", "INSERT", "MUTED", "NORMAL", "ORDINARY", "OWNER", "UPDATE",
    "Bounds", "Join", "Leave", "Member", "People", "bump", "conversation_changed", "need_role", "operator_of",
    "role_of", "shown", "tell", "versions", "with_people",
]  # fmt: skip

OWNER, ADMIN, ORDINARY = 100, 60, 20
"""Roles."""
NORMAL, DISMISSED, MUTED = 0, 2, 3
"""A group's status."""
INSERT, DELETE, UPDATE = 1, 2, 3
"""States of a version log's entry."""
GROUP_ITSELF = ""
"""The entry of a members' log that stands for the group's own info."""
_ADMIN_LEVEL = 2
_NOTHING = -1
"""A cut-off for a conversation that had no messages: 0 would mean no cut-off."""

Member = sdkws_pb2.GroupMemberFullInfo
People = dict[str, sdkws_pb2.UserInfo]
Asking = Command | ProfileChanged


class Join(Effect):
    __slots__ = ("user_ids",)

    def __init__(self, user_ids: Sequence[str]) -> None:
        self.user_ids = user_ids

    def run(self, entity: StoredEntity) -> None:
        entity.join(self.user_ids)


class Leave(Join):
    __slots__ = ()

    def run(self, entity: StoredEntity) -> None:
        entity.leave(self.user_ids)


class Bounds(Item):
    """Set what of the chat and its twin these users see, by the newest seqs of the slice in the making."""

    __slots__ = ("group", "joining", "user_ids")

    def __init__(self, group: Group, user_ids: Sequence[str], *, joining: bool) -> None:
        super().__init__()
        self.group = group
        self.user_ids = user_ids
        self.joining = joining

    def seal(self, slice_: CommitSlice) -> None:
        group = self.group
        chat, twin = chat_id(GROUP, group.id), notification_id(group.id)
        last, last_twin = group.last_seq(chat, slice_), group.last_seq(twin, slice_)
        changes: dict[str, store.Value]
        if self.joining:
            owners = [store.RecordOwner(user_id, "") for user_id in self.user_ids]
            slice_.writes.append(store.AddRecords(chat, GROUP, group.id, owners))
            changes = {"max_seq": 0, "notification_max_seq": 0}
            if not group.world.settings.message.history_for_new_members:
                changes["min_seq"] = last + 1
        else:
            changes = {"max_seq": last or _NOTHING, "notification_max_seq": last_twin or _NOTHING}
        slice_.writes += [store.ChangeRecord(user_id, chat, changes) for user_id in self.user_ids]


def with_people(
    group: Group, user_ids: Iterable[str], then: Callable[[People], None], command: Asking, sender: Address
) -> None:
    """Go on with the profiles of the caller and of these users; unknown ones are missing."""
    ids = list(dict.fromkeys((command.caller.user_id, *user_ids)))

    async def people() -> People:
        return {row.user_id: render.user_info(row) for row in await group.world.store.users(ids)}

    group.read(people(), then, command, sender)


def tell(
    group: Group,
    command: Asking,
    content_type: int,
    tips: Any,
    *,
    send_message: bool | None = None,
    also: tuple[str, ...] = (),
) -> None:
    """Send a tip to the group, with the group as it is now and the version that its change wrote."""
    if group.info is not None and content_type != notices.GROUP_DISMISSED:
        tips.group.CopyFrom(group.info)
    if "groupMemberVersion" in tips.DESCRIPTOR.fields_by_name:
        tips.groupMemberVersion, tips.groupMemberVersionID = group.version, group.version_id
    notice = notices.build(
        group.world,
        content_type,
        tips,
        send_id=command.caller.user_id,
        recv_id=group.id,
        session_type=GROUP,
        send_message=send_message,
    )
    group.stamp(notice, command.caller)
    group.decide(Send(group, notice, operation_id=command.caller.operation_id, user_ids=None, also=also))


def conversation_changed(group: Group, command: Command, user_ids: Iterable[str]) -> list[Effect]:
    """1300 to each of these users' own devices, not stored."""
    effects: list[Effect] = []
    for user_id in user_ids:
        tips = sdkws_pb2.ConversationUpdateTips(userID=user_id, conversationIDList=[chat_id(GROUP, group.id)])
        push = notices.push_to(
            user_id,
            group.world,
            notices.CONVERSATION_CHANGED,
            tips,
            send_id=user_id,
            operation_id=command.caller.operation_id,
        )
        effects.append(Deliver(push, (user_id,)))
    return effects


def versions(group: Group, user_ids: Iterable[str], state: int) -> list[store.Block]:
    """One change of the members' log, and one of each user's joined groups."""
    ids = list(user_ids)
    joined = [store.BumpVersion("joined", user_id, [(group.id, state)]) for user_id in ids]
    return [bump(group, [(user_id, state) for user_id in ids]), *joined]


def bump(group: Group, entries: list[tuple[str, int]]) -> store.BumpVersion:
    group.version += 1
    return store.BumpVersion("members", group.id, entries)


def role_of(group: Group, command: Command) -> int | None:
    """The caller's role; a configured admin stands between owner and group admins; None: no member."""
    if command.caller.is_admin:
        return OWNER
    member = group.members.get(command.caller.user_id)
    return member.roleLevel if member is not None else None


def need_role(group: Group, command: Command, least: int) -> None:
    role = role_of(group, command)
    if role is None or role < least:
        raise NoPermission("the caller's role is too low")


def shown(group: Group, user_id: str, people: People) -> Member:
    member = Member()
    member.CopyFrom(group.members[user_id])
    user = people.get(user_id)
    if user is not None:
        member.nickname, member.faceURL = member.nickname or user.nickname, member.faceURL or user.faceURL
    return member


def operator_of(group: Group, command: Asking, people: People) -> Member:
    """PROTOCOL 4.3, filling rules."""
    user_id = command.caller.user_id
    user = people.get(user_id, sdkws_pb2.UserInfo(userID=user_id))
    profile = Member(groupID=group.id, userID=user_id, nickname=user.nickname, faceURL=user.faceURL)
    if command.caller.is_admin:
        profile.roleLevel, profile.appMangerLevel = ADMIN, _ADMIN_LEVEL
        return profile
    if user_id in group.members:
        return shown(group, user_id, people)
    profile.operatorUserID, profile.appMangerLevel = user_id, user.appMangerLevel
    return profile
