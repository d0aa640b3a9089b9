"""/group/: the routes for applications. Users cannot apply to a group yet, so these lists are empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import NoPermission
from greenroom.actors.queries.slice_turns import next_slice
from greenroom.actors.wire import group_pb2 as wire
from greenroom.actors.wire.vocabulary import Role
from greenroom.transport.http.access import TOKEN, owner
from greenroom.transport.http.table import post

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]

_SLICE_GROUPS = 100
"""Number of groups that are looked at between two turns of other tasks."""


async def get_recv_group_application_list(
    call: Call, request: wire.GetGroupApplicationListReq
) -> wire.GetGroupApplicationListResp:
    for number, group_id in enumerate(dict.fromkeys(request.groupIDs)):
        if number % _SLICE_GROUPS == _SLICE_GROUPS - 1:
            await next_slice()
        await _must_manage(call, group_id)
    return wire.GetGroupApplicationListResp()


async def get_user_req_group_application_list(
    call: Call, request: wire.GetUserReqApplicationListReq
) -> wire.GetGroupApplicationListResp:
    return wire.GetGroupApplicationListResp()


async def get_group_users_req_application_list(
    call: Call, request: wire.getGroupUsersReqApplicationListReq
) -> wire.getGroupUsersReqApplicationListResp:
    await _must_manage(call, request.groupID)
    return wire.getGroupUsersReqApplicationListResp()


async def get_specified_user_group_request_info(
    call: Call, request: wire.GetSpecifiedUserGroupRequestInfoReq
) -> wire.GetSpecifiedUserGroupRequestInfoResp:
    if request.userID != call.caller.user_id:
        await _must_manage(call, request.groupID)
    return wire.GetSpecifiedUserGroupRequestInfoResp()


async def get_group_application_unhandled_count(
    call: Call, request: wire.GetGroupApplicationUnhandledCountReq
) -> wire.GetGroupApplicationUnhandledCountResp:
    return wire.GetGroupApplicationUnhandledCountResp()


async def _must_manage(call: Call, group_id: str) -> None:
    if call.caller.is_admin:
        return
    members = await call.engine.store.members(group_id, [call.caller.user_id])
    if not members or members[0].row.role_level < Role.ADMIN:
        raise NoPermission("neither owner nor admin of the group")


ROUTES = (
    post(
        "/group/get_recv_group_applicationList", wire.GetGroupApplicationListReq,
        wire.GetGroupApplicationListResp,
        owner("fromUserID"), get_recv_group_application_list, required=["fromUserID"],
    ),
    post(
        "/group/get_user_req_group_applicationList", wire.GetUserReqApplicationListReq,
        wire.GetGroupApplicationListResp, owner("userID"), get_user_req_group_application_list,
        required=["userID"],
    ),
    post(
        "/group/get_group_users_req_application_list", wire.getGroupUsersReqApplicationListReq,
        wire.getGroupUsersReqApplicationListResp, TOKEN, get_group_users_req_application_list,
        required=["groupID", "userIDs"],
    ),
    post(
        "/group/get_specified_user_group_request_info", wire.GetSpecifiedUserGroupRequestInfoReq,
        wire.GetSpecifiedUserGroupRequestInfoResp, TOKEN, get_specified_user_group_request_info,
        required=["groupID", "userID"],
    ),
    post(
        "/group/get_group_application_unhandled_count", wire.GetGroupApplicationUnhandledCountReq,
        wire.GetGroupApplicationUnhandledCountResp, owner("userID"), get_group_application_unhandled_count,
        required=["userID"],
    ),
)  # fmt: skip
