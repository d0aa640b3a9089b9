"""/group/: the routes that change a group. Each sends a command to the Group actor, which checks the roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import ArgsError, GroupExists
from greenroom.actors.messages import (
    CancelMuteGroup,
    CancelMuteMember,
    CreateGroup,
    DismissGroup,
    InviteMembers,
    KickMembers,
    MuteGroup,
    MuteMember,
    QuitGroup,
)
from greenroom.actors.runtime.address import Address
from greenroom.actors.wire import group_pb2 as wire
from greenroom.actors.wire.vocabulary import GroupType
from greenroom.transport.http.access import TOKEN, owner, owner_if_named
from greenroom.transport.http.table import post

if TYPE_CHECKING:
    from collections.abc import Iterator

    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]

_ID_TRIES = 10


async def create_group(call: Call, request: wire.CreateGroupReq) -> wire.CreateGroupResp:
    """Create a group with the given id, or with the first free one of several random ids."""
    if request.groupInfo.groupType != GroupType.WORKING:
        raise ArgsError("groupType must be 2")
    members = [request.ownerUserID, *request.adminUserIDs, *request.memberUserIDs]
    if not all(members) or len(set(members)) != len(members):
        raise ArgsError("a user id is empty or repeated")
    for group_id in _group_ids(call, request.groupInfo.groupID):
        named = wire.CreateGroupReq()
        named.CopyFrom(request)
        named.groupInfo.groupID = group_id
        try:
            group = await call.ask(Address("group", group_id), CreateGroup(caller=call.caller, request=named))
        except GroupExists:
            continue
        return wire.CreateGroupResp(groupInfo=group)
    raise GroupExists(request.groupInfo.groupID)


def _group_ids(call: Call, given: str) -> Iterator[str]:
    if given:
        yield given
        return
    for _ in range(_ID_TRIES):
        yield str(call.engine.rng.getrandbits(32))


async def invite_user_to_group(call: Call, request: wire.InviteUserToGroupReq) -> None:
    send = request.sendMessage if request.HasField("sendMessage") else None
    command = InviteMembers(
        caller=call.caller, user_ids=list(request.invitedUserIDs), send_message=send, reason=request.reason
    )
    await call.ask(Address("group", request.groupID), command)


async def kick_group(call: Call, request: wire.KickGroupMemberReq) -> None:
    send = request.sendMessage if request.HasField("sendMessage") else None
    command = KickMembers(
        caller=call.caller, user_ids=list(request.kickedUserIDs), send_message=send, reason=request.reason
    )
    await call.ask(Address("group", request.groupID), command)


async def quit_group(call: Call, request: wire.QuitGroupReq) -> None:
    user_id = request.userID or call.caller.user_id
    await call.ask(Address("group", request.groupID), QuitGroup(caller=call.caller, user_id=user_id))


async def dismiss_group(call: Call, request: wire.DismissGroupReq) -> None:
    send = request.sendMessage if request.HasField("sendMessage") else None
    command = DismissGroup(caller=call.caller, delete_member=request.deleteMember, send_message=send)
    await call.ask(Address("group", request.groupID), command)


async def mute_group_member(call: Call, request: wire.MuteGroupMemberReq) -> None:
    command = MuteMember(caller=call.caller, user_id=request.userID, muted_seconds=request.mutedSeconds)
    await call.ask(Address("group", request.groupID), command)


async def cancel_mute_group_member(call: Call, request: wire.CancelMuteGroupMemberReq) -> None:
    command = CancelMuteMember(caller=call.caller, user_id=request.userID)
    await call.ask(Address("group", request.groupID), command)


async def mute_group(call: Call, request: wire.MuteGroupReq) -> None:
    await call.ask(Address("group", request.groupID), MuteGroup(caller=call.caller))


async def cancel_mute_group(call: Call, request: wire.CancelMuteGroupReq) -> None:
    await call.ask(Address("group", request.groupID), CancelMuteGroup(caller=call.caller))


ROUTES = (
    post(
        "/group/create_group", wire.CreateGroupReq, wire.CreateGroupResp, owner("ownerUserID"), create_group,
        required=["groupInfo", "ownerUserID"],
    ),
    post(
        "/group/invite_user_to_group", wire.InviteUserToGroupReq, wire.InviteUserToGroupResp, TOKEN,
        invite_user_to_group, required=["groupID", "invitedUserIDs"], distinct=["invitedUserIDs"],
    ),
    post(
        "/group/kick_group", wire.KickGroupMemberReq, wire.KickGroupMemberResp, TOKEN, kick_group,
        required=["groupID", "kickedUserIDs"], distinct=["kickedUserIDs"],
    ),
    post(
        "/group/quit_group", wire.QuitGroupReq, wire.QuitGroupResp, owner_if_named("userID"), quit_group,
        required=["groupID"],
    ),
    post(
        "/group/dismiss_group", wire.DismissGroupReq, wire.DismissGroupResp, TOKEN, dismiss_group,
        required=["groupID"],
    ),
    post(
        "/group/mute_group_member", wire.MuteGroupMemberReq, wire.MuteGroupMemberResp, TOKEN,
        mute_group_member, required=["groupID", "userID", "mutedSeconds"],
    ),
    post(
        "/group/cancel_mute_group_member", wire.CancelMuteGroupMemberReq, wire.CancelMuteGroupMemberResp,
        TOKEN, cancel_mute_group_member, required=["groupID", "userID"],
    ),
    post("/group/mute_group", wire.MuteGroupReq, wire.MuteGroupResp, TOKEN, mute_group, required=["groupID"]),
    post(
        "/group/cancel_mute_group", wire.CancelMuteGroupReq, wire.CancelMuteGroupResp, TOKEN,
        cancel_mute_group, required=["groupID"],
    ),
)  # fmt: skip
