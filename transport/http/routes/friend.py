"""/friend/: the routes that only read. Friendships cannot be made yet, so these lists are empty.

A friendship or a block that a test scenario has put into the store is shown by the routes that read it from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors import render
from greenroom.actors.queries import sync
from greenroom.actors.wire import relation_pb2 as wire
from greenroom.transport.http.access import owner
from greenroom.transport.http.pages import in_parts
from greenroom.transport.http.table import post

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]


async def get_friend_list(
    call: Call, request: wire.getPaginationFriendsReq
) -> wire.getPaginationFriendsResp:
    return wire.getPaginationFriendsResp()


async def get_designated_friends(
    call: Call, request: wire.getDesignatedFriendsReq
) -> wire.getDesignatedFriendsResp:
    return wire.getDesignatedFriendsResp()


async def get_friend_id(call: Call, request: wire.getFriendIDsReq) -> wire.getFriendIDsResp:
    return wire.getFriendIDsResp()


async def get_specified_friends_info(
    call: Call, request: wire.getSpecifiedFriendsInfoReq
) -> wire.getSpecifiedFriendsInfoResp:
    response = wire.getSpecifiedFriendsInfoResp()
    async for ids in in_parts(list(request.userIDList)):
        for user in await call.engine.store.users(ids):
            response.infos.add(userInfo=render.user_info(user))
    return response


async def is_friend(call: Call, request: wire.isFriendReq) -> wire.isFriendResp:
    facts = await call.engine.store.pair_facts(request.userID1, request.userID2)
    return wire.isFriendResp(
        inUser1Friends=facts[request.userID1].has_peer_as_friend,
        inUser2Friends=facts[request.userID2].has_peer_as_friend,
    )


async def get_incremental_friends(
    call: Call, request: wire.getIncrementalFriendsReq
) -> wire.getIncrementalFriendsResp:
    return await sync.incremental_friends(call.engine.store, request)


async def get_full_friend_user_ids(
    call: Call, request: wire.getFullFriendUserIDsReq
) -> wire.getFullFriendUserIDsResp:
    return await sync.full_friend_ids(call.engine.store, request)


async def get_black_list(call: Call, request: wire.getPaginationBlacksReq) -> wire.getPaginationBlacksResp:
    return wire.getPaginationBlacksResp()


async def get_specified_blacks(
    call: Call, request: wire.GetSpecifiedBlacksReq
) -> wire.GetSpecifiedBlacksResp:
    return wire.GetSpecifiedBlacksResp()


async def get_friend_apply_list(
    call: Call, request: wire.getPaginationFriendsApplyToReq
) -> wire.getPaginationFriendsApplyToResp:
    return wire.getPaginationFriendsApplyToResp()


async def get_self_friend_apply_list(
    call: Call, request: wire.getPaginationFriendsApplyFromReq
) -> wire.getPaginationFriendsApplyFromResp:
    return wire.getPaginationFriendsApplyFromResp()


async def get_designated_friend_apply(
    call: Call, request: wire.getDesignatedFriendsApplyReq
) -> wire.getDesignatedFriendsApplyResp:
    return wire.getDesignatedFriendsApplyResp()


async def get_self_unhandled_apply_count(
    call: Call, request: wire.getSelfUnhandledApplyCountReq
) -> wire.getSelfUnhandledApplyCountResp:
    return wire.getSelfUnhandledApplyCountResp()


ROUTES = (
    post(
        "/friend/get_friend_list", wire.getPaginationFriendsReq, wire.getPaginationFriendsResp,
        owner("userID"), get_friend_list, required=["userID"],
    ),
    post(
        "/friend/get_designated_friends", wire.getDesignatedFriendsReq, wire.getDesignatedFriendsResp,
        owner("ownerUserID"), get_designated_friends, required=["ownerUserID", "friendUserIDs"],
        distinct=["friendUserIDs"],
    ),
    post(
        "/friend/get_friend_id", wire.getFriendIDsReq, wire.getFriendIDsResp, owner("userID"), get_friend_id,
        required=["userID"],
    ),
    post(
        "/friend/get_specified_friends_info", wire.getSpecifiedFriendsInfoReq,
        wire.getSpecifiedFriendsInfoResp,
        owner("ownerUserID"), get_specified_friends_info, required=["ownerUserID", "userIDList"],
        distinct=["userIDList"],
    ),
    post(
        "/friend/is_friend", wire.isFriendReq, wire.isFriendResp, owner("userID1", "userID2"), is_friend,
        required=["userID1", "userID2"],
    ),
    post(
        "/friend/get_incremental_friends", wire.getIncrementalFriendsReq, wire.getIncrementalFriendsResp,
        owner("userID"), get_incremental_friends, required=["userID"],
    ),
    post(
        "/friend/get_full_friend_user_ids", wire.getFullFriendUserIDsReq, wire.getFullFriendUserIDsResp,
        owner("userID"), get_full_friend_user_ids, required=["userID"],
    ),
    post(
        "/friend/get_black_list", wire.getPaginationBlacksReq, wire.getPaginationBlacksResp, owner("userID"),
        get_black_list, required=["userID"],
    ),
    post(
        "/friend/get_specified_blacks", wire.GetSpecifiedBlacksReq, wire.GetSpecifiedBlacksResp,
        owner("ownerUserID"), get_specified_blacks, required=["ownerUserID", "userIDList"],
        distinct=["userIDList"],
    ),
    post(
        "/friend/get_friend_apply_list", wire.getPaginationFriendsApplyToReq,
        wire.getPaginationFriendsApplyToResp, owner("userID"), get_friend_apply_list, required=["userID"],
    ),
    post(
        "/friend/get_self_friend_apply_list", wire.getPaginationFriendsApplyFromReq,
        wire.getPaginationFriendsApplyFromResp, owner("userID"), get_self_friend_apply_list,
        required=["userID"],
    ),
    post(
        "/friend/get_designated_friend_apply", wire.getDesignatedFriendsApplyReq,
        wire.getDesignatedFriendsApplyResp, owner("fromUserID", "toUserID"), get_designated_friend_apply,
        required=["fromUserID", "toUserID"],
    ),
    post(
        "/friend/get_self_unhandled_apply_count", wire.getSelfUnhandledApplyCountReq,
        wire.getSelfUnhandledApplyCountResp, owner("userID"), get_self_unhandled_apply_count,
        required=["userID"],
    ),
)  # fmt: skip
