"""What changes a group (PROTOCOL 6.4 to 6.6): each change, its version entries and its tip are one slice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.actors.conversation import Send
from greenroom.actors.errors import (
    ArgsError,
    GreenroomError,
    NoPermission,
    RecordNotFound,
    UserNotFound,
)
from greenroom.actors.messages import (
    CancelMuteGroup,
    CancelMuteMember,
    Command,
    CreateGroup,
    DismissGroup,
    InviteMembers,
    KickMembers,
    MuteGroup,
    MuteMember,
    ProfileChanged,
    Push,
    QuitGroup,
)
from greenroom.actors.rules import message as rules
from greenroom.actors.rules import notifications as notices
from greenroom.actors.rules.ids import GROUP, chat_id, notification_id, own_notification_id
from greenroom.actors.stored_entity import Change, Deliver, Effect, Item, Sealing, StoredEntity
from greenroom.persistence import store
from greenroom.transport.wire import sdkws_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from google.protobuf.message import Message

    from greenroom.actors.group import Group
    from greenroom.actors.runtime.address import Address

__all__ = [
    "ADMIN", "DISMISSED", "MUTED", "OWNER", "create", "dismiss", "invite", "kick", "mute_group", "mute_member",
    "profile_changed", "quit_group",
]  # fmt: skip

OWNER, ADMIN, ORDINARY = 100, 60, 20
NORMAL, DISMISSED, MUTED = 0, 2, 3
_WORKING_GROUP = 2
_BY_INVITATION = 2
_ALL_NEED_APPROVAL = 1
_INSERT, _DELETE, _UPDATE = 1, 2, 3
_GROUP_ITSELF = ""
"""The entry of a members' log that stands for the group's own info."""
_IDS_LIMIT = 1000
_INVITED_A_TIP = 50
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

    def seal(self, sealing: Sealing) -> None:
        group = self.group
        chat, twin = chat_id(GROUP, group.id), notification_id(group.id)
        last, last_twin = group.last_seq(chat), group.last_seq(twin)
        changes: dict[str, str | int]
        if self.joining:
            owners = [store.RecordOwner(user_id, "") for user_id in self.user_ids]
            sealing.write(self, store.AddRecords(chat, GROUP, group.id, owners))
            changes = {"max_seq": 0, "notification_max_seq": 0}
            if not group.world.settings.message.history_for_new_members:
                changes["min_seq"] = last + 1
        else:
            changes = {"max_seq": last or _NOTHING, "notification_max_seq": last_twin or _NOTHING}
        for user_id in self.user_ids:
            sealing.write(self, store.SetRecord(user_id, chat, changes))


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
        rows = [_new_row(user_id, role, caller, now) for user_id, role in roles.items()]
        _add(group, rows, people)
        group.decide(
            Change(
                store.ClaimKey("group", ()),
                store.AddGroup(_group_row(info)),
                store.AddMembers(group.id, rows),
                *_versions(group, roles, _INSERT),
                effects=[Join(list(roles))],
                askers=[(sender, command.ref)],
                value=_copy(info),
            )
        )
        tips = sdkws_pb2.GroupCreatedTips(
            group=info,
            opUser=_operator(group, command, people),
            memberList=group.members.values(),
            operationTime=now,
            groupOwnerUser=group.members[request.ownerUserID],
        )
        send = None if not request.HasField("sendMessage") else request.sendMessage
        _tell(group, command, notices.GROUP_CREATED, tips, send_message=send)

    _with_people(group, roles, then, command, sender)


def invite(group: Group, command: InviteMembers, sender: Address) -> None:
    """Raises ArgsError, NoPermission, RecordNotFound, GroupDismissed. Members are passed over."""
    info = group.existing()
    _check_ids(command.user_ids)
    role = _role(group, command)
    if role is None:
        raise NoPermission("not a member")
    if info.needVerification == _ALL_NEED_APPROVAL and role < ADMIN:
        raise GreenroomError("not implemented yet: invitations that need approval")

    def then(people: People) -> None:
        if any(user_id not in people for user_id in command.user_ids):
            raise RecordNotFound("a user is not registered")
        now, caller = group.world.clock.now_ms(), command.caller.user_id
        new = [user_id for user_id in command.user_ids if user_id not in group.members]
        rows = [_new_row(user_id, ORDINARY, caller, now) for user_id in new]
        _add(group, rows, people)
        group.existing().memberCount = len(group.members)
        if not new:
            group.decide(Change(askers=[(sender, command.ref)]))
            return
        group.decide(
            Change(
                store.AddMembers(group.id, rows),
                *_versions(group, new, _INSERT),
                effects=[Join(new)],
                askers=[(sender, command.ref)],
            ),
            Bounds(group, new, joining=True),
        )
        operator = _operator(group, command, people)
        for start in range(0, len(new), _INVITED_A_TIP):
            tips = sdkws_pb2.MemberInvitedTips(
                group=group.info,
                opUser=operator,
                invitedUserList=[group.members[user_id] for user_id in new[start : start + _INVITED_A_TIP]],
                operationTime=now,
                inviterUser=operator,
            )
            _tell(group, command, notices.MEMBERS_INVITED, tips, send_message=command.send_message)
        group.decide(Change(effects=_conversation_changed(group, command, new)))

    _with_people(group, command.user_ids, then, command, sender)


def kick(group: Group, command: KickMembers, sender: Address) -> None:
    """Raises ArgsError, NoPermission, UserNotFound, GroupDismissed."""
    group.existing()
    _check_ids(command.user_ids)
    role = _role(group, command)
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
        kicked = [_shown(group, user_id, people) for user_id in command.user_ids]
        operator = _operator(group, command, people)
        tips = sdkws_pb2.MemberKickedTips(opUser=operator, kickedUserList=kicked)
        _remove(group, command, sender, command.user_ids, notices.MEMBERS_KICKED, tips, command.send_message)

    _with_people(group, command.user_ids, then, command, sender)


def quit_group(group: Group, command: QuitGroup, sender: Address) -> None:
    """Raises RecordNotFound, NoPermission, GroupDismissed."""
    group.existing()
    member = group.members.get(command.user_id)
    if member is None:
        raise RecordNotFound("not a member")
    if member.roleLevel == OWNER:
        raise NoPermission("the owner transfers the group or dismisses it")

    def then(people: People) -> None:
        tips = sdkws_pb2.MemberQuitTips(quitUser=_shown(group, command.user_id, people))
        _remove(group, command, sender, [command.user_id], notices.MEMBER_QUIT, tips, None)

    _with_people(group, [command.user_id], then, command, sender)


def dismiss(group: Group, command: DismissGroup, sender: Address) -> None:
    """Raises RecordNotFound, NoPermission, GroupDismissed (unless it only deletes the members)."""
    if group.info is None or not command.delete_member:
        group.existing()
    _need_role(group, command, OWNER)

    def then(people: People) -> None:
        info = group.info
        assert info is not None
        tips = sdkws_pb2.GroupDismissedTips(
            opUser=_operator(group, command, people), operationTime=group.world.clock.now_ms()
        )
        everybody = list(group.members)
        info.status = DISMISSED
        tips.group.CopyFrom(info)
        group.decide(Change(store.SetGroup(group.id, {"status": DISMISSED}), askers=[(sender, command.ref)]))
        if not command.delete_member:
            _tell(group, command, notices.GROUP_DISMISSED, tips, send_message=command.send_message)
        group.members.clear()
        info.memberCount, info.ownerUserID = 0, ""
        group.decide(
            Change(
                store.DropMembers(group.id, everybody),
                *_versions(group, everybody, _DELETE),
                effects=[Leave(everybody)],
            )
        )

    _with_people(group, [], then, command, sender)


def mute_member(group: Group, command: MuteMember | CancelMuteMember, sender: Address, seconds: int) -> None:
    """For so many seconds from now; 0 ends it. Raises RecordNotFound, NoPermission, GroupDismissed."""
    group.existing()
    member = group.members.get(command.user_id)
    if member is None:
        raise RecordNotFound("not a member")
    role = _role(group, command)
    if role is None or (role <= member.roleLevel and not command.caller.is_admin):
        raise NoPermission("not over this member")

    def then(people: People) -> None:
        now = group.world.clock.now_ms()
        until = now + seconds * 1000 if seconds else 0
        group.members[command.user_id].muteEndTime = until
        group.decide(
            Change(
                store.SetMember(group.id, command.user_id, {"mute_end_time": until}),
                _bump(group, [(command.user_id, _UPDATE)]),
                askers=[(sender, command.ref)],
            )
        )
        shown, operator = _shown(group, command.user_id, people), _operator(group, command, people)
        tips: Message
        if seconds:
            tips = sdkws_pb2.GroupMemberMutedTips(
                opUser=operator, operationTime=now, mutedUser=shown, mutedSeconds=seconds
            )
        else:
            tips = sdkws_pb2.GroupMemberCancelMutedTips(opUser=operator, operationTime=now, mutedUser=shown)
        _tell(group, command, notices.MEMBER_MUTED if seconds else notices.MEMBER_UNMUTED, tips)

    _with_people(group, [command.user_id], then, command, sender)


def mute_group(group: Group, command: MuteGroup | CancelMuteGroup, sender: Address, *, muted: bool) -> None:
    """Raises RecordNotFound, NoPermission, GroupDismissed."""
    group.existing()
    _need_role(group, command, ADMIN)

    def then(people: People) -> None:
        info = group.existing()
        info.status = MUTED if muted else NORMAL
        group.decide(
            Change(
                store.SetGroup(group.id, {"status": info.status}),
                _bump(group, [(_GROUP_ITSELF, _UPDATE)]),
                askers=[(sender, command.ref)],
            )
        )
        kind = sdkws_pb2.GroupMutedTips if muted else sdkws_pb2.GroupCancelMutedTips
        tips = kind(opUser=_operator(group, command, people), operationTime=group.world.clock.now_ms())
        _tell(group, command, notices.GROUP_MUTED if muted else notices.GROUP_UNMUTED, tips)

    _with_people(group, [], then, command, sender)


def profile_changed(group: Group, message: ProfileChanged, sender: Address) -> None:
    """Members are shown with their profile's nickname and picture: tell the group, and whoever syncs."""

    def then(people: People) -> None:
        user, member = people.get(message.user_id), group.members.get(message.user_id)
        if user is None or member is None:
            return
        member.nickname, member.faceURL = user.nickname, user.faceURL
        group.decide(Change(_bump(group, [(message.user_id, _UPDATE)])))
        tips = sdkws_pb2.GroupMemberInfoSetTips(
            opUser=_operator(group, message, people),
            operationTime=group.world.clock.now_ms(),
            changedUser=member,
        )
        _tell(group, message, notices.MEMBER_INFO_SET, tips)

    _with_people(group, [message.user_id], then, message, sender)


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
            store.DropMembers(group.id, list(user_ids)),
            *_versions(group, user_ids, _DELETE),
            askers=[(sender, command.ref)],
        )
    )
    tips.operationTime = group.world.clock.now_ms()
    _tell(group, command, content_type, tips, send_message=send_message, also=tuple(user_ids))
    group.decide(
        Bounds(group, user_ids, joining=False),
        Change(effects=[Leave(user_ids), *_conversation_changed(group, command, user_ids)]),
    )


def _with_people(
    group: Group, user_ids: Iterable[str], then: Callable[[People], None], command: Asking, sender: Address
) -> None:
    """Go on with the profiles of the caller and of these users; unknown ones are missing."""
    ids = list(dict.fromkeys((command.caller.user_id, *user_ids)))

    async def people() -> People:
        return {user.userID: user for user in await group.world.store.users(ids)}

    group.read(people(), then, command, sender)


def _tell(
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


def _conversation_changed(group: Group, command: Command, user_ids: Iterable[str]) -> list[Effect]:
    """1300 to each of these users' own devices, not stored."""
    effects: list[Effect] = []
    for user_id in user_ids:
        tips = sdkws_pb2.ConversationUpdateTips(userID=user_id, conversationIDList=[chat_id(GROUP, group.id)])
        notice = notices.build(group.world, notices.CONVERSATION_CHANGED, tips, send_id=user_id, recv_id=user_id)
        push = Push(own_notification_id(user_id), rules.render(notice), command.caller.operation_id)
        effects.append(Deliver(push, (user_id,)))
    return effects


def _versions(group: Group, user_ids: Iterable[str], state: int) -> list[store.Block]:
    """One change of the members' log, and one of each user's joined groups."""
    ids = list(user_ids)
    joined = [store.BumpVersion("joined", user_id, [(group.id, state)]) for user_id in ids]
    return [_bump(group, [(user_id, state) for user_id in ids]), *joined]


def _bump(group: Group, entries: list[tuple[str, int]]) -> store.BumpVersion:
    group.version += 1
    return store.BumpVersion("members", group.id, entries)


def _role(group: Group, command: Command) -> int | None:
    """The caller's role; a configured admin stands between owner and group admins; None: no member."""
    if command.caller.is_admin:
        return OWNER
    member = group.members.get(command.caller.user_id)
    return member.roleLevel if member is not None else None


def _need_role(group: Group, command: Command, least: int) -> None:
    role = _role(group, command)
    if role is None or role < least:
        raise NoPermission("the caller's role is too low")


def _check_ids(user_ids: Sequence[str]) -> None:
    if not user_ids or len(user_ids) > _IDS_LIMIT or len(set(user_ids)) < len(user_ids) or "" in user_ids:
        raise ArgsError("user ids must be given once each, 1 to 1000 of them")


def _new_row(user_id: str, role: int, caller: str, now: int) -> store.MemberRow:
    return store.MemberRow(
        user_id=user_id,
        nickname="",
        face_url="",
        role_level=role,
        join_time=now,
        join_source=_BY_INVITATION,
        inviter_user_id=caller,
        operator_user_id=caller,
        mute_end_time=0,
        ex="",
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


def _shown(group: Group, user_id: str, people: People) -> Member:
    member = Member()
    member.CopyFrom(group.members[user_id])
    user = people.get(user_id)
    if user is not None:
        member.nickname, member.faceURL = member.nickname or user.nickname, member.faceURL or user.faceURL
    return member


def _operator(group: Group, command: Asking, people: People) -> Member:
    """PROTOCOL 4.3, filling rules."""
    user_id = command.caller.user_id
    user = people.get(user_id, sdkws_pb2.UserInfo(userID=user_id))
    profile = Member(groupID=group.id, userID=user_id, nickname=user.nickname, faceURL=user.faceURL)
    if command.caller.is_admin:
        profile.roleLevel, profile.appMangerLevel = ADMIN, _ADMIN_LEVEL
        return profile
    if user_id in group.members:
        return _shown(group, user_id, people)
    profile.operatorUserID, profile.appMangerLevel = user_id, user.appMangerLevel
    return profile


def _group_row(info: sdkws_pb2.GroupInfo) -> store.GroupRow:
    return store.GroupRow(
        group_id=info.groupID,
        group_name=info.groupName,
        notification=info.notification,
        introduction=info.introduction,
        face_url=info.faceURL,
        create_time=info.createTime,
        ex=info.ex,
        status=info.status,
        creator_user_id=info.creatorUserID,
        group_type=info.groupType,
        need_verification=info.needVerification,
        look_member_info=info.lookMemberInfo,
        apply_member_friend=info.applyMemberFriend,
        notification_update_time=info.notificationUpdateTime,
        notification_user_id=info.notificationUserID,
    )


def _copy(info: sdkws_pb2.GroupInfo) -> sdkws_pb2.GroupInfo:
    copy = sdkws_pb2.GroupInfo()
    copy.CopyFrom(info)
    return copy
