"""/group/: the routes that only read groups, members, and their incremental sync."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors import render
from greenroom.actors.errors import ArgsError, GroupNotFound, NoPermission
from greenroom.actors.queries import sync
from greenroom.actors.queries.slice_turns import next_slice
from greenroom.actors.wire import group_pb2 as wire
from greenroom.actors.wire.sdkws_pb2 import GroupMemberFullInfo
from greenroom.transport.http.access import TOKEN, owner
from greenroom.transport.http.pages import in_parts, offset_of, page_of
from greenroom.transport.http.table import post

if TYPE_CHECKING:
    from greenroom.persistence.store import MemberPlace
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]

_FILTERS = range(6)
"""OpenIM checks the filter (all, owner, admins, ...), and does not use it."""
_SCAN_ROWS = 250
"""Number of members of one read in a search by keyword. It is small enough not to delay the loop."""


async def get_groups_info(call: Call, request: wire.GetGroupsInfoReq) -> wire.GetGroupsInfoResp:
    response = wire.GetGroupsInfoResp()
    async for ids in in_parts(list(dict.fromkeys(request.groupIDs))):
        response.groupInfos.extend(map(render.group_info, await call.engine.store.groups(ids)))
    return response


async def get_group_members_info(
    call: Call, request: wire.GetGroupMembersInfoReq
) -> wire.GetGroupMembersInfoResp:
    await _must_be_member(call, request.groupID)
    members = await call.engine.store.members(request.groupID, list(dict.fromkeys(request.userIDs)))
    return wire.GetGroupMembersInfoResp(members=map(render.member_info, members))


async def get_group_member_list(
    call: Call, request: wire.GetGroupMemberListReq
) -> wire.GetGroupMemberListResp:
    if request.filter not in _FILTERS:
        raise ArgsError("filter is invalid")
    await _must_be_member(call, request.groupID)
    if request.keyword:
        found = await _members_named(call, request.groupID, request.keyword)
        return wire.GetGroupMemberListResp(total=len(found), members=page_of(request.pagination, found))
    total, members = await call.engine.store.members_page(request.groupID, *offset_of(request.pagination))
    return wire.GetGroupMemberListResp(total=total, members=map(render.member_info, members))


async def get_joined_group_list(
    call: Call, request: wire.GetJoinedGroupListReq
) -> wire.GetJoinedGroupListResp:
    ids = await call.engine.store.joined_groups(request.fromUserID)
    response = wire.GetJoinedGroupListResp(total=len(ids))
    async for part in in_parts(page_of(request.pagination, ids)):
        response.groups.extend(map(render.group_info, await call.engine.store.groups(part)))
    return response


async def get_group_member_user_id(
    call: Call, request: wire.GetGroupMemberUserIDsReq
) -> wire.GetGroupMemberUserIDsResp:
    await _must_be_member(call, request.groupID)
    ids = await sync.all_member_ids(call.engine.store, call.engine.scan_turn, request.groupID)
    return wire.GetGroupMemberUserIDsResp(userIDs=ids)


async def get_group_abstract_info(
    call: Call, request: wire.GetGroupAbstractInfoReq
) -> wire.GetGroupAbstractInfoResp:
    for group_id in request.groupIDs:
        await _must_be_member(call, group_id)
    known: set[str] = set()
    async for ids in in_parts(request.groupIDs):
        known.update(group.group_id for group in await call.engine.store.groups(list(ids)))
    response = wire.GetGroupAbstractInfoResp()
    for group_id in request.groupIDs:
        if group_id not in known:
            raise GroupNotFound(group_id)
        ids = await sync.all_member_ids(call.engine.store, call.engine.scan_turn, group_id)
        response.groupAbstractInfos.add(
            groupID=group_id, groupMemberNumber=len(ids), groupMemberListHash=sync.id_hash(ids)
        )
    return response


async def get_incremental_join_groups(
    call: Call, request: wire.getIncrementalJoinGroupReq
) -> wire.getIncrementalJoinGroupResp:
    return await sync.incremental_joined(call.engine.store, request)


async def get_incremental_group_members(
    call: Call, request: wire.getIncrementalGroupMemberReq
) -> wire.getIncrementalGroupMemberResp:
    return await sync.incremental_members(call.engine.store, call.caller, request)


async def get_incremental_group_members_batch(
    call: Call, request: wire.BatchGetIncrementalGroupMemberReq
) -> wire.BatchGetIncrementalGroupMemberResp:
    return await sync.incremental_members_batch(call.engine.store, call.caller, request)


async def get_full_group_member_user_ids(
    call: Call, request: wire.GetFullGroupMemberUserIDsReq
) -> wire.GetFullGroupMemberUserIDsResp:
    await _must_be_member(call, request.groupID)
    return await sync.full_member_ids(call.engine.store, call.engine.scan_turn, request)


async def get_full_join_group_ids(
    call: Call, request: wire.GetFullJoinGroupIDsReq
) -> wire.GetFullJoinGroupIDsResp:
    return await sync.full_joined_ids(call.engine.store, request)


async def _members_named(call: Call, group_id: str, keyword: str) -> list[GroupMemberFullInfo]:
    """The members with this id or nickname. All members are read, in slices between which other tasks run."""
    store, found = call.engine.store, list[GroupMemberFullInfo]()
    place: MemberPlace | None = None
    while True:
        async with call.engine.search_turn:
            ids, place = await store.member_ids(group_id, place, _SCAN_ROWS)
            shown = map(render.member_info, await store.members(group_id, ids))
            found += [member for member in shown if keyword in (member.userID, member.nickname)]
            await next_slice()
        if place is None:
            return found


async def _must_be_member(call: Call, group_id: str) -> None:
    if not call.caller.is_admin and not await call.engine.store.members(group_id, [call.caller.user_id]):
        raise NoPermission("not a member of the group")


ROUTES = (
    post(
        "/group/get_groups_info", wire.GetGroupsInfoReq, wire.GetGroupsInfoResp, TOKEN, get_groups_info,
        required=["groupIDs"],
    ),
    post(
        "/group/get_group_members_info", wire.GetGroupMembersInfoReq, wire.GetGroupMembersInfoResp, TOKEN,
        get_group_members_info, required=["groupID", "userIDs"],
    ),
    post(
        "/group/get_group_member_list", wire.GetGroupMemberListReq, wire.GetGroupMemberListResp, TOKEN,
        get_group_member_list, required=["groupID"],
    ),
    post(
        "/group/get_joined_group_list", wire.GetJoinedGroupListReq, wire.GetJoinedGroupListResp,
        owner("fromUserID"), get_joined_group_list, required=["fromUserID"],
    ),
    post(
        "/group/get_group_member_user_id", wire.GetGroupMemberUserIDsReq, wire.GetGroupMemberUserIDsResp,
        TOKEN, get_group_member_user_id, required=["groupID"],
    ),
    post(
        "/group/get_group_abstract_info", wire.GetGroupAbstractInfoReq, wire.GetGroupAbstractInfoResp, TOKEN,
        get_group_abstract_info, required=["groupIDs"], distinct=["groupIDs"],
    ),
    post(
        "/group/get_incremental_join_groups", wire.getIncrementalJoinGroupReq,
        wire.getIncrementalJoinGroupResp, owner("userID"), get_incremental_join_groups, required=["userID"],
    ),
    post(
        "/group/get_incremental_group_members", wire.getIncrementalGroupMemberReq,
        wire.getIncrementalGroupMemberResp, TOKEN, get_incremental_group_members, required=["groupID"],
    ),
    post(
        "/group/get_incremental_group_members_batch", wire.BatchGetIncrementalGroupMemberReq,
        wire.BatchGetIncrementalGroupMemberResp, TOKEN, get_incremental_group_members_batch,
    ),
    post(
        "/group/get_full_group_member_user_ids", wire.GetFullGroupMemberUserIDsReq,
        wire.GetFullGroupMemberUserIDsResp, TOKEN, get_full_group_member_user_ids, required=["groupID"],
    ),
    post(
        "/group/get_full_join_group_ids", wire.GetFullJoinGroupIDsReq, wire.GetFullJoinGroupIDsResp,
        owner("userID"), get_full_join_group_ids, required=["userID"],
    ),
)  # fmt: skip
