"""/user/*online* and *status*: the users' connections, read from the session table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import ArgsError
from greenroom.actors.wire import msggateway_pb2, user_pb2
from greenroom.transport.http.access import ADMIN, TOKEN
from greenroom.transport.http.table import post

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]

_ONLINE, _OFFLINE = 1, 0
_GENRES = (1, 2)


async def get_users_online_status(
    call: Call, request: msggateway_pb2.GetUsersOnlineStatusReq
) -> list[msggateway_pb2.GetUsersOnlineStatusResp.SuccessResult]:
    results = []
    for user_id in request.userIDs:
        result = msggateway_pb2.GetUsersOnlineStatusResp.SuccessResult(userID=user_id)
        for session in call.engine.sessions.sessions_of(user_id):
            result.status = _ONLINE
            result.detailPlatformStatus.add(
                platformID=session.platform_id,
                connID=session.connection_id,
                isBackground=session.is_background,
                token=session.token,
            )
        results.append(result)
    return results


async def get_users_online_token_detail(
    call: Call, request: msggateway_pb2.GetUsersOnlineStatusReq
) -> list[msggateway_pb2.SingleDetail]:
    details = []
    for user_id in request.userIDs:
        by_platform: dict[int, list[str]] = {}
        for session in call.engine.sessions.sessions_of(user_id):
            by_platform.setdefault(session.platform_id, []).append(session.token)
        if not by_platform:
            continue
        detail = msggateway_pb2.SingleDetail(userID=user_id, status=_ONLINE)
        for platform_id, tokens in by_platform.items():
            detail.singlePlatformToken.add(platformID=platform_id, total=len(tokens), token=tokens)
        details.append(detail)
    return details


async def get_users_status(call: Call, request: user_pb2.getUserStatusReq) -> user_pb2.getUserStatusResp:
    response = user_pb2.getUserStatusResp()
    for user_id in request.userIDs:
        platforms = call.engine.sessions.online_platforms(user_id)
        status = _ONLINE if platforms else _OFFLINE
        response.statusList.add(userID=user_id, status=status, platformIDs=platforms)
    return response


async def subscribe_users_status(
    call: Call, request: user_pb2.subscribeOrCancelUsersStatusReq
) -> user_pb2.subscribeOrCancelUsersStatusResp:
    """Does nothing, as in upstream: request id 2005 of the WebSocket replaced it."""
    if request.genre not in _GENRES:
        raise ArgsError("genre is invalid")
    return user_pb2.subscribeOrCancelUsersStatusResp()


async def get_subscribe_users_status(
    call: Call, request: user_pb2.getSubscribeUsersStatusReq
) -> user_pb2.getSubscribeUsersStatusResp:
    return user_pb2.getSubscribeUsersStatusResp()


ROUTES = (
    post(
        "/user/get_users_online_status", msggateway_pb2.GetUsersOnlineStatusReq,
        msggateway_pb2.GetUsersOnlineStatusResp.SuccessResult, ADMIN, get_users_online_status,
        strict=True, many=True,
    ),
    post(
        "/user/get_users_online_token_detail", msggateway_pb2.GetUsersOnlineStatusReq,
        msggateway_pb2.SingleDetail, ADMIN, get_users_online_token_detail,
        strict=True, many=True,
    ),
    post(
        "/user/get_users_status", user_pb2.getUserStatusReq, user_pb2.getUserStatusResp, TOKEN,
        get_users_status, required=["userIDs"],
    ),
    post(
        "/user/subscribe_users_status", user_pb2.subscribeOrCancelUsersStatusReq,
        user_pb2.subscribeOrCancelUsersStatusResp, TOKEN, subscribe_users_status,
        required=["userID", "userIDs"],
    ),
    post(
        "/user/get_subscribe_users_status", user_pb2.getSubscribeUsersStatusReq,
        user_pb2.getSubscribeUsersStatusResp, TOKEN, get_subscribe_users_status, required=["userID"],
    ),
)  # fmt: skip
