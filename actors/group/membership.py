"""Who is in a group (PROTOCOL 6.4 to 6.6): each change, its version entries and its tip are one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.actors import render
from greenroom.actors.errors import ArgsError, GreenroomError, NoPermission, RecordNotFound, UserNotFound
from greenroom.actors.group.change import (
    ADMIN,
    DELETE,
    DISMISSED,
    INSERT,
    ORDINARY,
    OWNER,
    UPDATE,
    Bounds,
    Join,
    Leave,
    Member,
    People,
    bump,
    conversation_changed,
    need_role,
    operator_of,
    role_of,
    shown,
    tell,
    versions,
    with_people,
)
from greenroom.actors.rules import notifications as notices
from greenroom.actors.stored_entity import Change
from greenroom.actors.wire import sdkws_pb2
from greenroom.persistence import store

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from greenroom.actors.group.group import Group
    from greenroom.actors.messages import (
        CreateGroup,
        DismissGroup,
        InviteMembers,
        KickMembers,
        ProfileChanged,
        QuitGroup,
    )
    from greenroom.actors.runtime.address import Address

__all__ = ["create", "dismiss", "invite", "kick", "profile_changed", "quit_group"]

_WORKING_GROUP = 2
_BY_INVITATION = 2
_ALL_NEED_APPROVAL = 1
_IDS_LIMIT = 1000
_INVITED_A_TIP = 50


def create(group: Group, command: CreateGroup, sender: Address) -> None:
    """Raises ArgsError, UserNotFound."""
    request = command.request
    roles = {request.ownerUserID: OWNER}
    roles.update(dict.fromkeys(request.adminUserIDs, ADMIN))
    roles.update(dict.fromkeys(request.memberUserIDs, ORDINARY))
    count = 1 + len(request.adminUserIDs) + len(request.memberUserIDs)
    if request.groupInfo.groupType != _WORKING_GROUP:
        raise ArgsError("groupType must be 2")
    if "" in roles or len(roles) != count or len(request.memberUserIDs) > _IDS_LIMIT:
        raise ArgsError("user ids must be given once each, 1000 at most")

    def then(people: People) -> None:
        if any(user_id not in people for user_id in roles):
            raise UserNotFound("a user is not registered")
        caller = command.caller.user_id
        now = group.world.clock.now_ms()
        info = sdkws_pb2.GroupInfo()
        info.CopyFrom(request.groupInfo)
        info.groupID, info.ownerUserID, info.createTime = group.id, request.ownerUserID, now
        info.creatorUserID, info.memberCount, info.status = caller, len(roles), request.groupInfo.status
        group.info = info
        rows = [_new_row(group, user_id, role, caller, now) for user_id, role in roles.items()]
        _add(group, rows, people)
        group.decide(
            Change(
                store.ClaimKey("group", ()),
                store.PutRows([render.group_row(info)]),
                store.PutRows([*rows]),
                *versions(group, roles, INSERT),
                effects=[Join(list(roles))],
                askers=[(sender, command.ref)],
                value=_copy(info),
            )
        )
        tips = sdkws_pb2.GroupCreatedTips(
            group=info,
            opUser=operator_of(group, command, people),
            memberList=group.members.values(),
            operationTime=now,
            groupOwnerUser=group.members[request.ownerUserID],
        )
        send = None if not request.HasField("sendMessage") else request.sendMessage
        tell(group, command, notices.GROUP_CREATED, tips, send_message=send)

    with_people(group, roles, then, command, sender)


def invite(group: Group, command: InviteMembers, sender: Address) -> None:
    """Raises ArgsError, NoPermission, RecordNotFound, GroupDismissed. Members are passed over."""
    info = group.existing()
    _check_ids(command.user_ids)
    role = role_of(group, command)
    if role is None:
        raise NoPermission("not a member")
    if info.needVerification == _ALL_NEED_APPROVAL and role < ADMIN:
        raise GreenroomError("not implemented yet: invitations that need approval")

    def then(people: People) -> None:
        if any(user_id not in people for user_id in command.user_ids):
            raise RecordNotFound("a user is not registered")
        now, caller = group.world.clock.now_ms(), command.caller.user_id
        new = [user_id for user_id in command.user_ids if user_id not in group.members]
        rows = [_new_row(group, user_id, ORDINARY, caller, now) for user_id in new]
        _add(group, rows, people)
        group.existing().memberCount = len(group.members)
        if not new:
            group.decide(Change(askers=[(sender, command.ref)]))
            return
        group.decide(
            Change(
                store.PutRows([*rows]),
                _count(group),
                *versions(group, new, INSERT),
                effects=[Join(new)],
                askers=[(sender, command.ref)],
            ),
            Bounds(group, new, joining=True),
        )
        operator = operator_of(group, command, people)
        for start in range(0, len(new), _INVITED_A_TIP):
            tips = sdkws_pb2.MemberInvitedTips(
                group=group.info,
                opUser=operator,
                invitedUserList=[group.members[user_id] for user_id in new[start : start + _INVITED_A_TIP]],
                operationTime=now,
                inviterUser=operator,
            )
            tell(group, command, notices.MEMBERS_INVITED, tips, send_message=command.send_message)
        group.decide(Change(effects=conversation_changed(group, command, new)))

    with_people(group, command.user_ids, then, command, sender)


def kick(group: Group, command: KickMembers, sender: Address) -> None:
    """Raises ArgsError, NoPermission, UserNotFound, GroupDismissed."""
    group.existing()
    _check_ids(command.user_ids)
    role = role_of(group, command)
    if role is None or role < ADMIN:
        raise NoPermission("only the owner and group admins kick")
    if command.caller.user_id in command.user_ids:
        raise ArgsError("nobody kicks himself")
    for user_id in command.user_ids:
        member = group.members.get(user_id)
        if member is None:
            raise UserNotFound("not a member")
        if member.roleLevel >= role or member.roleLevel == OWNER:
            raise NoPermission("not over this member")

    def then(people: People) -> None:
        kicked = [shown(group, user_id, people) for user_id in command.user_ids]
        operator = operator_of(group, command, people)
        tips = sdkws_pb2.MemberKickedTips(opUser=operator, kickedUserList=kicked)
        _remove(group, command, sender, command.user_ids, notices.MEMBERS_KICKED, tips, command.send_message)

    with_people(group, command.user_ids, then, command, sender)


def quit_group(group: Group, command: QuitGroup, sender: Address) -> None:
    """Raises RecordNotFound, NoPermission, GroupDismissed."""
    group.existing()
    member = group.members.get(command.user_id)
    if member is None:
        raise RecordNotFound("not a member")
    if member.roleLevel == OWNER:
        raise NoPermission("the owner transfers the group or dismisses it")

    def then(people: People) -> None:
        tips = sdkws_pb2.MemberQuitTips(quitUser=shown(group, command.user_id, people))
        _remove(group, command, sender, [command.user_id], notices.MEMBER_QUIT, tips, None)

    with_people(group, [command.user_id], then, command, sender)


def dismiss(group: Group, command: DismissGroup, sender: Address) -> None:
    """Raises RecordNotFound, NoPermission, GroupDismissed (unless it only deletes the members)."""
    if group.info is None or not command.delete_member:
        group.existing()
    need_role(group, command, OWNER)

    def then(people: People) -> None:
        info = group.info
        assert info is not None
        tips = sdkws_pb2.GroupDismissedTips(
            opUser=operator_of(group, command, people), operationTime=group.world.clock.now_ms()
        )
        everybody = list(group.members)
        info.status = DISMISSED
        tips.group.CopyFrom(info)
        change = store.ChangeRow("group", (group.id,), {"status": DISMISSED})
        group.decide(Change(change, askers=[(sender, command.ref)]))
        if not command.delete_member:
            tell(group, command, notices.GROUP_DISMISSED, tips, send_message=command.send_message)
        group.members.clear()
        info.memberCount, info.ownerUserID = 0, ""
        group.decide(
            Change(
                store.DropRows("member", [(group.id, user_id) for user_id in everybody]),
                store.ChangeRow("group", (group.id,), {"member_count": 0, "owner_user_id": ""}),
                *versions(group, everybody, DELETE),
                effects=[Leave(everybody)],
            )
        )

    with_people(group, [], then, command, sender)


def profile_changed(group: Group, message: ProfileChanged, sender: Address) -> None:
    """Members are shown with their profile's nickname and picture: tell the group, and whoever syncs."""

    def then(people: People) -> None:
        user, member = people.get(message.user_id), group.members.get(message.user_id)
        if user is None or member is None:
            return
        member.nickname, member.faceURL = user.nickname, user.faceURL
        group.decide(Change(bump(group, [(message.user_id, UPDATE)])))
        tips = sdkws_pb2.GroupMemberInfoSetTips(
            opUser=operator_of(group, message, people),
            operationTime=group.world.clock.now_ms(),
            changedUser=member,
        )
        tell(group, message, notices.MEMBER_INFO_SET, tips)

    with_people(group, [message.user_id], then, message, sender)


def _remove(
    group: Group,
    command: KickMembers | QuitGroup,
    sender: Address,
    user_ids: Sequence[str],
    content_type: int,
    tips: Any,
    send_message: bool | None,
) -> None:
    """Members go: rows and versions, the tip that they still hear, then their cut-offs."""
    for user_id in user_ids:
        del group.members[user_id]
    group.existing().memberCount = len(group.members)
    group.decide(
        Change(
            store.DropRows("member", [(group.id, user_id) for user_id in user_ids]),
            _count(group),
            *versions(group, user_ids, DELETE),
            askers=[(sender, command.ref)],
        )
    )
    tips.operationTime = group.world.clock.now_ms()
    tell(group, command, content_type, tips, send_message=send_message, also=tuple(user_ids))
    group.decide(
        Bounds(group, user_ids, joining=False),
        Change(effects=[Leave(user_ids), *conversation_changed(group, command, user_ids)]),
    )


def _check_ids(user_ids: Sequence[str]) -> None:
    if not user_ids or len(user_ids) > _IDS_LIMIT or len(set(user_ids)) < len(user_ids) or "" in user_ids:
        raise ArgsError("user ids must be given once each, 1 to 1000 of them")


def _count(group: Group) -> store.ChangeRow:
    return store.ChangeRow("group", (group.id,), {"member_count": len(group.members)})


def _new_row(group: Group, user_id: str, role: int, caller: str, now: int) -> store.MemberRow:
    return store.MemberRow(
        group_id=group.id,
        user_id=user_id,
        role_level=role,
        join_time=now,
        join_source=_BY_INVITATION,
        inviter_user_id=caller,
        operator_user_id=caller,
    )


def _add(group: Group, rows: Iterable[store.MemberRow], people: People) -> None:
    for row in rows:
        user = people[row.user_id]
        group.members[row.user_id] = Member(
            groupID=group.id,
            userID=row.user_id,
            roleLevel=row.role_level,
            joinTime=row.join_time,
            nickname=user.nickname,
            faceURL=user.faceURL,
            appMangerLevel=user.appMangerLevel,
            joinSource=row.join_source,
            operatorUserID=row.operator_user_id,
            inviterUserID=row.inviter_user_id,
        )


def _copy(info: sdkws_pb2.GroupInfo) -> sdkws_pb2.GroupInfo:
    copy = sdkws_pb2.GroupInfo()
    copy.CopyFrom(info)
    return copy
