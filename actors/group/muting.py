"""Mutes of a member and of a whole group, each with its version entry and its tip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.domain_events import MuteChanged, add_event
from greenroom.actors.errors import ArgsError, NoPermission, RecordNotFound
from greenroom.actors.group.roster import GROUP_ITSELF, Roster
from greenroom.actors.items import Change, Item
from greenroom.actors.messages import CancelMuteGroup, CancelMuteMember, MuteGroup, MuteMember
from greenroom.actors.rules import notifications as notices
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import ChangeState, GroupStatus, Role
from greenroom.persistence import store

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from greenroom.actors.group.operation import Operation

__all__ = ["check_mute_group", "check_mute_member", "mute_group", "mute_member"]


def check_mute_member(group: Roster, command: MuteMember | CancelMuteMember) -> None:
    """Raises ArgsError, RecordNotFound, NoPermission, GroupDismissed."""
    if isinstance(command, MuteMember) and command.muted_seconds <= 0:
        raise ArgsError("mutedSeconds must be above 0")
    group.existing()
    member = group.members.get(command.user_id)
    if member is None:
        raise RecordNotFound("not a member")
    role = group.role_of(command)
    if role is None or (role <= member.roleLevel and not command.caller.is_admin):
        raise NoPermission("the caller's role is not above the member's")


def mute_member(operation: Operation, command: MuteMember | CancelMuteMember) -> Iterator[Item]:
    """Mute a member for the given number of seconds, or end the mute."""
    group, now = operation.group, operation.time
    seconds = command.muted_seconds if isinstance(command, MuteMember) else 0
    muted_until = now + seconds * 1000 if seconds else 0
    group.members[command.user_id].muteEndTime = muted_until
    yield Change(
        store.ChangeRow("member", (group.id, command.user_id), {"mute_end_time": muted_until}),
        group.bump([(command.user_id, ChangeState.UPDATE)]),
        add_event(MuteChanged(group.id, command.user_id, muted_until)),
        askers=operation.askers,
    )
    shown, operator = operation.shown(command.user_id), operation.operator()
    tips: Message
    if seconds:
        tips = sdkws_pb2.GroupMemberMutedTips(
            opUser=operator, operationTime=now, mutedUser=shown, mutedSeconds=seconds
        )
    else:
        tips = sdkws_pb2.GroupMemberCancelMutedTips(opUser=operator, operationTime=now, mutedUser=shown)
    yield operation.tell(notices.MEMBER_MUTED if seconds else notices.MEMBER_UNMUTED, tips)


def check_mute_group(group: Roster, command: MuteGroup | CancelMuteGroup) -> None:
    """Raises RecordNotFound, NoPermission, GroupDismissed."""
    group.existing()
    group.need_role(command, Role.ADMIN)


def mute_group(operation: Operation, command: MuteGroup | CancelMuteGroup) -> Iterator[Item]:
    """Mute the group, so that only the owner and group admins may send, or end the mute."""
    group, muted = operation.group, isinstance(command, MuteGroup)
    info = group.existing()
    info.status = GroupStatus.MUTED if muted else GroupStatus.NORMAL
    yield Change(
        store.ChangeRow("group", (group.id,), {"status": info.status}),
        group.bump([(GROUP_ITSELF, ChangeState.UPDATE)]),
        add_event(MuteChanged(group.id, "", -1 if muted else 0)),
        askers=operation.askers,
    )
    kind = sdkws_pb2.GroupMutedTips if muted else sdkws_pb2.GroupCancelMutedTips
    tips = kind(opUser=operation.operator(), operationTime=operation.time)
    yield operation.tell(notices.GROUP_MUTED if muted else notices.GROUP_UNMUTED, tips)
