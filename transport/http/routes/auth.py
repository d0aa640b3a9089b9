"""/auth/: tokens are issued, parsed and revoked here. Their state belongs to the User actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import ArgsError, NoPermission, RecordNotFound
from greenroom.actors.messages import Caller, ForceLogout, IssuedToken, IssueToken, VerifyToken
from greenroom.actors.runtime.address import Address
from greenroom.actors.wire import auth_pb2
from greenroom.actors.wire.vocabulary import AppLevel, Platform
from greenroom.transport.http.access import ADMIN, ANYONE
from greenroom.transport.http.table import post

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]



async def get_admin_token(call: Call, request: auth_pb2.getAdminTokenReq) -> auth_pb2.getAdminTokenResp:
    if not call.is_secret(request.secret):
        raise NoPermission("secret invalid")
    if not call.is_admin(request.userID):
        raise ArgsError("userID is not an admin")
    caller = Caller(request.userID, Platform.ADMIN, call.caller.operation_id, is_admin=True)
    issued: IssuedToken = await call.ask(
        Address("user", request.userID), IssueToken(caller=caller, platform_id=Platform.ADMIN)
    )
    return auth_pb2.getAdminTokenResp(token=issued.token, expireTimeSeconds=issued.expire_time_seconds)


async def get_user_token(call: Call, request: auth_pb2.getUserTokenReq) -> auth_pb2.getUserTokenResp:
    if request.platformID == Platform.ADMIN:
        raise NoPermission("platformID is reserved for admins")
    if request.platformID and request.platformID not in Platform.ALL:
        raise ArgsError("platformID is invalid")
    if call.is_admin(request.userID):
        raise NoPermission("userID is an admin")
    users = await call.engine.store.users([request.userID])
    if not users:
        raise RecordNotFound("user not found")
    if users[0].app_manger_level >= AppLevel.NOTIFICATION_ACCOUNT:
        raise ArgsError("no token for an account with this appMangerLevel")
    issued: IssuedToken = await call.ask(
        Address("user", request.userID), IssueToken(caller=call.caller, platform_id=request.platformID)
    )
    return auth_pb2.getUserTokenResp(token=issued.token, expireTimeSeconds=issued.expire_time_seconds)


async def parse_token(call: Call, request: auth_pb2.parseTokenReq) -> auth_pb2.parseTokenResp:
    claims = call.engine.world.auth.parse(request.token)
    caller = Caller(claims.user_id, claims.platform_id, call.caller.operation_id)
    await call.ask(
        Address("user", claims.user_id),
        VerifyToken(caller=caller, platform_id=claims.platform_id, digest=claims.digest),
    )
    return auth_pb2.parseTokenResp(
        userID=claims.user_id, platformID=claims.platform_id, expireTimeSeconds=claims.expire_at
    )


async def force_logout(call: Call, request: auth_pb2.forceLogoutReq) -> None:
    if request.platformID not in Platform.ALL:
        raise ArgsError("platformID is invalid")
    await call.ask(
        Address("user", request.userID), ForceLogout(caller=call.caller, platform_id=request.platformID)
    )


ROUTES = (
    post(
        "/auth/get_admin_token", auth_pb2.getAdminTokenReq, auth_pb2.getAdminTokenResp, ANYONE,
        get_admin_token, required=["userID"],
    ),
    post(
        "/auth/get_user_token", auth_pb2.getUserTokenReq, auth_pb2.getUserTokenResp, ADMIN, get_user_token,
        required=["userID"],
    ),
    post(
        "/auth/parse_token", auth_pb2.parseTokenReq, auth_pb2.parseTokenResp, ANYONE, parse_token,
        required=["token"],
    ),
    post(
        "/auth/force_logout", auth_pb2.forceLogoutReq, auth_pb2.forceLogoutResp, ADMIN, force_logout,
        required=["userID"],
    ),
)  # fmt: skip
