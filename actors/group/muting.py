"""Who may speak in a group: mutes of a member and of the group, each with its version entry and its tip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import NoPermission, RecordNotFound
from greenroom.actors.group.change import (
    ADMIN,
    GROUP_ITSELF,
    MUTED,
    NORMAL,
    UPDATE,
    People,
    bump,
    need_role,
    operator_of,
    role_of,
    shown,
    tell,
    with_people,
)
from greenroom.actors.rules import notifications as notices
from greenroom.actors.stored_entity import Change
from greenroom.actors.wire import sdkws_pb2
from greenroom.persistence import store

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from greenroom.actors.group.group import Group
    from greenroom.actors.messages import CancelMuteGroup, CancelMuteMember, MuteGroup, MuteMember
    from greenroom.actors.runtime.address import Address

__all__ = ["mute_group", "mute_member"]


def mute_member(group: Group, command: MuteMember | CancelMuteMember, sender: Address, seconds: int) -> None:
    """For so many seconds from now; 0 ends it. Raises RecordNotFound, NoPermission, GroupDismissed."""
    group.existing()
    member = group.members.get(command.user_id)
    if member is None:
        raise RecordNotFound("not a member")
    role = role_of(group, command)
    if role is None or (role <= member.roleLevel and not command.caller.is_admin):
        raise NoPermission("not over this member")

    def then(people: People) -> None:
        now = group.world.clock.now_ms()
        until = now + seconds * 1000 if seconds else 0
        group.members[command.user_id].muteEndTime = until
        group.decide(
            Change(
                store.ChangeRow("member", (group.id, command.user_id), {"mute_end_time": until}),
                bump(group, [(command.user_id, UPDATE)]),
                askers=[(sender, command.ref)],
            )
        )
        member_shown, operator = shown(group, command.user_id, people), operator_of(group, command, people)
        tips: Message
        if seconds:
            tips = sdkws_pb2.GroupMemberMutedTips(
                opUser=operator, operationTime=now, mutedUser=member_shown, mutedSeconds=seconds
            )
        else:
            tips = sdkws_pb2.GroupMemberCancelMutedTips(opUser=operator, operationTime=now, mutedUser=member_shown)
        tell(group, command, notices.MEMBER_MUTED if seconds else notices.MEMBER_UNMUTED, tips)

    with_people(group, [command.user_id], then, command, sender)


def mute_group(group: Group, command: MuteGroup | CancelMuteGroup, sender: Address, *, muted: bool) -> None:
    """Raises RecordNotFound, NoPermission, GroupDismissed."""
    group.existing()
    need_role(group, command, ADMIN)

    def then(people: People) -> None:
        info = group.existing()
        info.status = MUTED if muted else NORMAL
        group.decide(
            Change(
                store.ChangeRow("group", (group.id,), {"status": info.status}),
                bump(group, [(GROUP_ITSELF, UPDATE)]),
                askers=[(sender, command.ref)],
            )
        )
        kind = sdkws_pb2.GroupMutedTips if muted else sdkws_pb2.GroupCancelMutedTips
        tips = kind(opUser=operator_of(group, command, people), operationTime=group.world.clock.now_ms())
        tell(group, command, notices.GROUP_MUTED if muted else notices.GROUP_UNMUTED, tips)

    with_people(group, [], then, command, sender)
