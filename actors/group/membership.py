"""The membership of a group (PROTOCOL 6.4 to 6.6). A change, its version entries and its tip are one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors import render
from greenroom.actors.domain_events import GroupCreated, GroupEnded, MembersJoined, MembersLeft, add_event
from greenroom.actors.effects import Effect, Join, Leave, Tell
from greenroom.actors.errors import ArgsError, GreenroomError, NoPermission, RecordNotFound, UserNotFound
from greenroom.actors.group.operation import Bounds
from greenroom.actors.group.roster import Member, Roster
from greenroom.actors.items import Change, Item
from greenroom.actors.messages import DropMembers
from greenroom.actors.rules import notifications as notices
from greenroom.actors.rules.ids import group_address
from greenroom.actors.rules.limits import LIST_LIMIT
from greenroom.actors.wire import sdkws_pb2
from greenroom.actors.wire.vocabulary import ChangeState, GroupStatus, GroupType, GroupVerification, JoinSource, Role
from greenroom.persistence import store
from greenroom.persistence.tables import MemberRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from greenroom.actors.group.operation import Operation
    from greenroom.actors.messages import (
        CreateGroup,
        DismissGroup,
        InviteMembers,
        KickMembers,
        ProfileChanged,
        QuitGroup,
    )

__all__ = [
    "check_create", "check_dismiss", "check_invite", "check_kick", "check_quit", "create", "dismiss", "drop_members",
    "initial_roles", "invite", "kick", "prepare_create", "prepare_invite", "prepare_kick", "profile_changed",
    "quit_group",
]  # fmt: skip

_INVITED_PER_TIP = 50


def initial_roles(command: CreateGroup) -> dict[str, int]:
    """The first members of a new group, with their roles."""
    request = command.request
    roles: dict[str, int] = {request.ownerUserID: Role.OWNER}
    roles.update(dict.fromkeys(request.adminUserIDs, Role.ADMIN))
    roles.update(dict.fromkeys(request.memberUserIDs, Role.ORDINARY))
    return roles


def check_create(command: CreateGroup) -> None:
    """Raises ArgsError."""
    request, roles = command.request, initial_roles(command)
    count = 1 + len(request.adminUserIDs) + len(request.memberUserIDs)
    if request.groupInfo.groupType != GroupType.WORKING:
        raise ArgsError("groupType must be 2")
    if "" in roles or len(roles) != count or max(len(request.adminUserIDs), len(request.memberUserIDs)) > LIST_LIMIT:
        raise ArgsError(f"at most {LIST_LIMIT} user ids may be given, each of them once")


async def prepare_create(operation: Operation, command: CreateGroup) -> None:
    """Raises UserNotFound."""
    roles = initial_roles(command)
    if any(user_id not in operation.people for user_id in roles):
        raise UserNotFound("a user is not registered")
    await operation.prepare(roles, lambda user_id: _new_member(operation, user_id, roles[user_id], command))


def create(operation: Operation, command: CreateGroup) -> Iterator[Item]:
    group, request, roles = operation.group, command.request, initial_roles(command)
    caller = command.caller.user_id
    now = operation.time
    info = sdkws_pb2.GroupInfo()
    info.CopyFrom(request.groupInfo)
    info.groupID, info.ownerUserID, info.createTime = group.id, request.ownerUserID, now
    info.creatorUserID, info.memberCount, info.status = caller, len(roles), request.groupInfo.status
    group.info = info
    group.members.update(operation.members)
    yield Change(
        store.ClaimKey("group", ()),
        store.PutRows([render.group_row(info)]),
        store.PutRows([_new_row(group, user_id, role, caller, now) for user_id, role in roles.items()]),
        *group.versions(roles, ChangeState.INSERT),
        add_event(GroupCreated(group.id, request.ownerUserID)),
        add_event(MembersJoined(group.id, list(roles))),
        effects=[Join(roles)],
        askers=operation.askers,
        value=_copy(info),
    )
    tips = sdkws_pb2.GroupCreatedTips(
        group=info,
        opUser=operation.operator(),
        operationTime=now,
        groupOwnerUser=group.members[request.ownerUserID],
    )
    send = None if not request.HasField("sendMessage") else request.sendMessage
    elements = list(operation.elements.values())
    yield operation.tell(notices.GROUP_CREATED, tips, send_message=send, elements=elements)
    if info.notification:
        announced = sdkws_pb2.GroupInfoSetAnnouncementTips(opUser=operation.operator())
        yield operation.tell(notices.ANNOUNCEMENT_SET, announced)


def check_invite(group: Roster, command: InviteMembers) -> None:
    """Raises ArgsError, NoPermission, RecordNotFound, GroupDismissed."""
    info = group.existing()
    _check_ids(command.user_ids)
    role = group.role_of(command)
    if role is None:
        raise NoPermission("not a member")
    if info.needVerification == GroupVerification.ALL_NEED_APPROVAL and role < Role.ADMIN:
        raise GreenroomError("not implemented yet: invitations that need approval")


async def prepare_invite(operation: Operation, command: InviteMembers) -> None:
    """Users who are already members are ignored. Raises RecordNotFound."""
    if any(user_id not in operation.people for user_id in command.user_ids):
        raise RecordNotFound("a user is not registered")
    new = [user_id for user_id in command.user_ids if user_id not in operation.group.members]
    await operation.prepare(new, lambda user_id: _new_member(operation, user_id, Role.ORDINARY, command))


def invite(operation: Operation, command: InviteMembers) -> Iterator[Item]:
    group, new = operation.group, list(operation.members)
    now, caller = operation.time, command.caller.user_id
    group.members.update(operation.members)
    group.existing().memberCount = len(group.members)
    if not new:
        yield Change(askers=operation.askers)
        return
    yield Change(
        store.PutRows([_new_row(group, user_id, Role.ORDINARY, caller, now) for user_id in new]),
        group.count(),
        *group.versions(new, ChangeState.INSERT),
        add_event(MembersJoined(group.id, new)),
        effects=[Join(new)],
        askers=operation.askers,
    )
    yield Bounds(new, joining=True)
    operator = operation.operator()
    for start in range(0, len(new), _INVITED_PER_TIP):
        tips = sdkws_pb2.MemberInvitedTips(
            group=group.info,
            opUser=operator,
            operationTime=now,
            inviterUser=operator,
        )
        elements = [operation.elements[user_id] for user_id in new[start : start + _INVITED_PER_TIP]]
        yield operation.tell(
            notices.MEMBERS_INVITED, tips, send_message=command.send_message, elements=elements
        )
    yield Change(effects=[operation.conversation_changed(new)])


def check_kick(group: Roster, command: KickMembers) -> None:
    """Raises ArgsError, NoPermission, UserNotFound, GroupDismissed."""
    group.existing()
    _check_ids(command.user_ids)
    role = group.role_of(command)
    if role is None or role < Role.ADMIN:
        raise NoPermission("only the owner and group admins may kick members")
    if command.caller.user_id in command.user_ids:
        raise ArgsError("the caller cannot kick themselves")
    for user_id in command.user_ids:
        member = group.members.get(user_id)
        if member is None:
            raise UserNotFound("not a member")
        if member.roleLevel >= role or member.roleLevel == Role.OWNER:
            raise NoPermission("the caller's role is not above the member's")


async def prepare_kick(operation: Operation, command: KickMembers) -> None:
    await operation.prepare(command.user_ids, operation.shown)


def kick(operation: Operation, command: KickMembers) -> Iterator[Item]:
    tips = sdkws_pb2.MemberKickedTips(opUser=operation.operator())
    return _remove(operation, command.user_ids, notices.MEMBERS_KICKED, tips, command.send_message)


def check_quit(group: Roster, command: QuitGroup) -> None:
    """Raises RecordNotFound, NoPermission, GroupDismissed."""
    group.existing()
    member = group.members.get(command.user_id)
    if member is None:
        raise RecordNotFound("not a member")
    if member.roleLevel == Role.OWNER:
        raise NoPermission("the owner cannot quit: they must transfer or dismiss the group")


def quit_group(operation: Operation, command: QuitGroup) -> Iterator[Item]:
    tips = sdkws_pb2.MemberQuitTips(quitUser=operation.shown(command.user_id))
    return _remove(operation, [command.user_id], notices.MEMBER_QUIT, tips, None)


def check_dismiss(group: Roster, command: DismissGroup) -> None:
    """Raises RecordNotFound, NoPermission, GroupDismissed (unless it only deletes the members)."""
    if group.info is None or not command.delete_member:
        group.existing()
    group.need_role(command, Role.OWNER)


def dismiss(operation: Operation, command: DismissGroup) -> Iterator[Item]:
    group = operation.group
    info = group.info
    assert info is not None
    tips = sdkws_pb2.GroupDismissedTips(opUser=operation.operator(), operationTime=operation.time)
    everybody = list(group.members)
    info.status = GroupStatus.DISMISSED
    tips.group.CopyFrom(info)
    dismissed = store.ChangeRow("group", (group.id,), {"status": GroupStatus.DISMISSED})
    yield Change(dismissed, add_event(GroupEnded(group.id)), askers=operation.askers)
    if not command.delete_member:
        yield operation.tell(notices.GROUP_DISMISSED, tips, send_message=command.send_message)
    group.members.clear()
    info.memberCount, info.ownerUserID = 0, ""
    yield Change(
        store.ChangeRow("group", (group.id,), {"member_count": 0, "owner_user_id": ""}), effects=[Leave(everybody)]
    )
    yield drop_members(group, everybody[:LIST_LIMIT], has_more=len(everybody) > LIST_LIMIT)


def drop_members(group: Roster, user_ids: Sequence[str], *, has_more: bool) -> Item:
    """Drop the rows of members of a dismissed group. Those of a large group are dropped in several slices, because the
    writes of all other keys would have to wait for a single one."""
    again: list[Effect] = [Tell([group_address(group.id)], DropMembers())] if has_more else []
    return Change(
        store.DropRows("member", [(group.id, user_id) for user_id in user_ids]),
        *group.versions(user_ids, ChangeState.DELETE),
        effects=again,
    )


def profile_changed(operation: Operation, message: ProfileChanged) -> Iterator[Item]:
    """Notify the group of a member's new nickname or picture, and add an entry to its log."""
    group = operation.group
    user, member = operation.people.get(message.user_id), group.members.get(message.user_id)
    if user is None or member is None:
        return
    member.nickname, member.faceURL = user.nickname, user.faceURL
    yield Change(group.bump([(message.user_id, ChangeState.UPDATE)]))
    tips = sdkws_pb2.GroupMemberInfoSetTips(
        opUser=operation.operator(), operationTime=operation.time, changedUser=member
    )
    yield operation.tell(notices.MEMBER_INFO_SET, tips)


def _remove(
    operation: Operation,
    user_ids: Sequence[str],
    kind: notices.Notification,
    tips: sdkws_pb2.MemberKickedTips | sdkws_pb2.MemberQuitTips,
    send_message: bool | None,
) -> Iterator[Item]:
    """Remove members: first their rows, then the tip, which they still get, then their bounds."""
    group = operation.group
    for user_id in user_ids:
        del group.members[user_id]
    group.existing().memberCount = len(group.members)
    yield Change(
        store.DropRows("member", [(group.id, user_id) for user_id in user_ids]),
        group.count(),
        *group.versions(user_ids, ChangeState.DELETE),
        add_event(MembersLeft(group.id, list(user_ids), kind is notices.MEMBERS_KICKED)),
        askers=operation.askers,
    )
    tips.operationTime = operation.time
    elements = list(operation.elements.values())
    yield operation.tell(kind, tips, send_message=send_message, also=tuple(user_ids), elements=elements)
    yield Bounds(user_ids, joining=False)
    yield Change(effects=[Leave(user_ids), operation.conversation_changed(user_ids)])


def _check_ids(user_ids: Sequence[str]) -> None:
    if not user_ids or len(user_ids) > LIST_LIMIT or len(set(user_ids)) < len(user_ids) or "" in user_ids:
        raise ArgsError(f"1 to {LIST_LIMIT} user ids must be given, each of them once")


def _new_row(group: Roster, user_id: str, role: int, caller: str, now: int) -> MemberRow:
    return MemberRow(
        group_id=group.id,
        user_id=user_id,
        role_level=role,
        join_time=now,
        join_source=JoinSource.INVITATION,
        inviter_user_id=caller,
        operator_user_id=caller,
    )


def _new_member(operation: Operation, user_id: str, role: int, command: CreateGroup | InviteMembers) -> Member:
    user, caller = operation.people[user_id], command.caller.user_id
    return Member(
        groupID=operation.group.id,
        userID=user_id,
        roleLevel=role,
        joinTime=operation.time,
        nickname=user.nickname,
        faceURL=user.faceURL,
        appMangerLevel=user.appMangerLevel,
        joinSource=JoinSource.INVITATION,
        operatorUserID=caller,
        inviterUserID=caller,
    )


def _copy(info: sdkws_pb2.GroupInfo) -> sdkws_pb2.GroupInfo:
    copy = sdkws_pb2.GroupInfo()
    copy.CopyFrom(info)
    return copy
