"""/user/: registration and profiles. A profile's writes go through its User actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors import render
from greenroom.actors.errors import ArgsError, RecordNotFound
from greenroom.actors.messages import RegisterUsers, SetUserInfo
from greenroom.actors.runtime.address import Address
from greenroom.actors.wire import user_pb2
from greenroom.persistence.tables import UserRow, Value
from greenroom.transport.http.access import ADMIN, TOKEN, owner, owner_if_named
from greenroom.transport.http.pages import in_parts, offset_of
from greenroom.transport.http.table import post
from greenroom.transport.http.user_search import UserSearch

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]

_RECEIVE_OPTIONS = range(3)
_ROWS_OF_GROUP = 10
"""What a group costs that is notified of a member's new name: it may have to wake, and stores a notification."""


async def user_register(call: Call, request: user_pb2.userRegisterReq) -> None:
    ids = [user.userID for user in request.users]
    if not all(_is_legal_id(user_id) for user_id in ids):
        raise ArgsError("userID may contain only letters, digits and _")
    if len(set(ids)) != len(ids):
        raise ArgsError("userID repeated")
    if not all(user.nickname for user in request.users):
        raise ArgsError("nickname is empty")
    now = call.engine.clock.now_ms()
    rows = [
        UserRow(
            user.userID, user.nickname, user.faceURL, user.ex, now, user.appMangerLevel, user.globalRecvMsgOpt
        )
        for user in request.users
    ]
    await call.ask(Address("user", ids[0]), RegisterUsers(caller=call.caller, users=rows))


async def update_user_info(call: Call, request: user_pb2.updateUserInfoReq) -> None:
    info = request.userInfo
    changes: dict[str, Value] = {
        "nickname": info.nickname,
        "face_url": info.faceURL,
        "ex": info.ex,
        "global_recv_msg_opt": info.globalRecvMsgOpt,
    }
    if call.caller.is_admin:
        # A level exempts its user from checks, so users must not raise their own level.
        changes["app_manger_level"] = info.appMangerLevel
    await _set_user(call, info.userID, {name: value for name, value in changes.items() if value})


async def update_user_info_ex(call: Call, request: user_pb2.updateUserInfoExReq) -> None:
    info = request.userInfo
    changes: dict[str, Value] = {}
    if info.HasField("nickname"):
        changes["nickname"] = info.nickname.value
    if info.HasField("faceURL"):
        changes["face_url"] = info.faceURL.value
    if info.HasField("ex"):
        changes["ex"] = info.ex.value
    if info.HasField("globalRecvMsgOpt"):
        changes["global_recv_msg_opt"] = info.globalRecvMsgOpt.value
    await _set_user(call, info.userID, changes)


async def set_global_msg_recv_opt(call: Call, request: user_pb2.setGlobalRecvMessageOptReq) -> None:
    await _set_user(call, request.userID, {"global_recv_msg_opt": request.globalRecvMsgOpt})


async def get_users_info(
    call: Call, request: user_pb2.getDesignateUsersReq
) -> user_pb2.getDesignateUsersResp:
    response = user_pb2.getDesignateUsersResp()
    async for ids in in_parts(list(dict.fromkeys(request.userIDs))):
        response.usersInfo.extend(map(render.user_info, await call.engine.store.users(ids)))
    return response


async def get_all_users_uid(call: Call, request: user_pb2.getAllUserIDReq) -> user_pb2.getAllUserIDResp:
    total, users = await call.engine.store.users_page(*offset_of(request.pagination))
    return user_pb2.getAllUserIDResp(total=total, userIDs=[user.user_id for user in users])


async def account_check(call: Call, request: user_pb2.accountCheckReq) -> user_pb2.accountCheckResp:
    registered = {user.user_id for user in await call.engine.store.users(list(request.checkUserIDs))}
    response = user_pb2.accountCheckResp()
    for user_id in request.checkUserIDs:
        response.results.add(userID=user_id, accountStatus=int(user_id in registered))
    return response


async def get_users(call: Call, request: user_pb2.getPaginationUsersReq) -> user_pb2.getPaginationUsersResp:
    offset, limit = offset_of(request.pagination)
    search = UserSearch(request)
    total, users = await search.page(call.engine.store, call.engine.search_turn, offset=offset, limit=limit)
    return user_pb2.getPaginationUsersResp(total=total, users=map(render.user_info, users))


async def get_user_client_config(
    call: Call, request: user_pb2.getUserClientConfigReq
) -> user_pb2.getUserClientConfigResp:
    """A client config cannot be set yet, so it is empty for every user."""
    if request.userID and not await call.engine.store.users([request.userID]):
        raise RecordNotFound("user not found")
    return user_pb2.getUserClientConfigResp()


async def _set_user(call: Call, user_id: str, changes: dict[str, Value]) -> None:
    if changes.get("global_recv_msg_opt", 0) not in _RECEIVE_OPTIONS:
        raise ArgsError("globalRecvMsgOpt is invalid")
    groups: int | None = await call.ask(Address("user", user_id), SetUserInfo(caller=call.caller, changes=changes))
    call.charge_rows((groups or 0) * _ROWS_OF_GROUP)


def _is_legal_id(user_id: str) -> bool:
    return bool(user_id) and all(letter == "_" or letter.isalpha() or letter.isdecimal() for letter in user_id)


ROUTES = (
    post(
        "/user/user_register", user_pb2.userRegisterReq, user_pb2.userRegisterResp, ADMIN, user_register,
        required=["users"],
    ),
    post(
        "/user/update_user_info", user_pb2.updateUserInfoReq, user_pb2.updateUserInfoResp,
        owner("userInfo.userID"), update_user_info, required=["userInfo", "userInfo.userID"],
    ),
    post(
        "/user/update_user_info_ex", user_pb2.updateUserInfoExReq, user_pb2.updateUserInfoExResp,
        owner("userInfo.userID"), update_user_info_ex, required=["userInfo", "userInfo.userID"],
    ),
    post(
        "/user/set_global_msg_recv_opt", user_pb2.setGlobalRecvMessageOptReq,
        user_pb2.setGlobalRecvMessageOptResp, owner("userID"), set_global_msg_recv_opt, required=["userID"],
    ),
    post(
        "/user/get_users_info", user_pb2.getDesignateUsersReq, user_pb2.getDesignateUsersResp, TOKEN,
        get_users_info, required=["userIDs"],
    ),
    post(
        "/user/get_all_users_uid", user_pb2.getAllUserIDReq, user_pb2.getAllUserIDResp, TOKEN,
        get_all_users_uid,
    ),
    post(
        "/user/account_check", user_pb2.accountCheckReq, user_pb2.accountCheckResp, ADMIN, account_check,
        required=["checkUserIDs"], distinct=["checkUserIDs"],
    ),
    post("/user/get_users", user_pb2.getPaginationUsersReq, user_pb2.getPaginationUsersResp, TOKEN,
    get_users), post(
        "/user/get_user_client_config", user_pb2.getUserClientConfigReq, user_pb2.getUserClientConfigResp,
        owner_if_named("userID"), get_user_client_config,
    ),
)  # fmt: skip
