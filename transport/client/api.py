"""The HTTP API for clients: one connection pool, one envelope, and errors with their codes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any, Self

import httpx

from greenroom.actors.errors import UserExists
from greenroom.actors.wire.vocabulary import AccountStatus, GroupType, Platform
from greenroom.transport.client.errors import CannotConnect, ConnectionLost, Refused, without

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence
    from types import TracebackType

__all__ = ["Api"]

REGISTERED = (AccountStatus.REGISTERED, AccountStatus.REGISTERED_TEXT)


class Api:
    """Calls routes of an OpenIM server; any number of calls may be in flight.

    It never retries. A call that fails with ConnectionLost may have been carried out by the server.
    """

    def __init__(
        self, url: str, *, timeout_s: float = 10.0, connections: int = 100, tls: ssl.SSLContext | None = None
    ) -> None:
        """
        tls: for an `https` URL, instead of the usual certificates.
        """
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            timeout=timeout_s,
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
            trust_env=False,
            verify=True if tls is None else tls,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    async def call(self, path: str, payload: Mapping[str, Any], token: str = "") -> Any:
        """POST to a route; returns the envelope's `data` (None if it has none). Raises Refused or ConnectionLost."""
        headers = {"operationID": secrets.token_hex(8)}
        if token:
            if not (token.isascii() and token.isprintable()):
                raise ValueError("the token has a character that no HTTP header can carry")
            headers["token"] = token
        try:
            answer = await self._http.post(path, json=dict(payload), headers=headers)
        except httpx.ConnectError as problem:
            raise CannotConnect(f"{path}: cannot connect: {_reason(problem)}") from None
        except httpx.HTTPError as problem:
            raise ConnectionLost(f"{path}: {type(problem).__name__}") from None
        try:
            envelope = answer.json()
        except ValueError:
            envelope = None
        if not isinstance(envelope, dict) or not isinstance(envelope.get("errCode"), int):
            raise ConnectionLost(f"{path}: HTTP {answer.status_code} without an envelope")
        if envelope["errCode"]:
            sent = (token, str(payload.get("secret") or ""))
            name, detail = (without(str(envelope.get(key, "")), *sent) for key in ("errMsg", "errDlt"))
            raise Refused(envelope["errCode"], name, detail)
        return envelope.get("data")

    async def admin_token(self, secret: str, *, user_id: str = "imAdmin") -> str:
        """A new token for a configured admin, in exchange for the server's secret."""
        data = await self.call("/auth/get_admin_token", {"secret": secret, "userID": user_id})
        return str(data["token"])

    async def user_token(self, user_id: str, *, platform_id: int = Platform.WEB, admin_token: str) -> str:
        """A new token for a user on a platform. The login policy may invalidate the user's older tokens."""
        payload = {"userID": user_id, "platformID": platform_id}
        data = await self.call("/auth/get_user_token", payload, admin_token)
        return str(data["token"])

    async def register(self, *user_ids: str, admin_token: str, missing_only: bool = False) -> None:
        """Register users under their ids, all or none. With `missing_only`, users who already exist are skipped."""
        if missing_only:
            data = await self.call("/user/account_check", {"checkUserIDs": list(user_ids)}, admin_token)
            known = {
                row["userID"]
                for row in (data or {}).get("results") or ()
                if row["accountStatus"] in REGISTERED
            }
            user_ids = tuple(user_id for user_id in user_ids if user_id not in known)
        if not user_ids:
            return
        users = [{"userID": user_id, "nickname": user_id, "faceURL": ""} for user_id in user_ids]
        try:
            await self.call("/user/user_register", {"users": users}, admin_token)
        except Refused as problem:
            if not (missing_only and problem.code == UserExists.code):
                raise

    async def create_group(
        self, owner_user_id: str, member_user_ids: Sequence[str], *, name: str, token: str, group_id: str = ""
    ) -> str:
        """Create a group, with the owner's token or an admin's. Returns the group's id."""
        data = await self.call(
            "/group/create_group",
            {
                "ownerUserID": owner_user_id,
                "memberUserIDs": list(member_user_ids),
                "groupInfo": {"groupID": group_id, "groupName": name, "groupType": GroupType.WORKING},
            },
            token,
        )
        return str(data["groupInfo"]["groupID"])


def _reason(problem: BaseException) -> str:
    """What the operating system or TLS said. The text of an HTTP library could hold what was sent."""
    reason = type(problem).__name__
    cause: BaseException | None = problem
    while cause is not None:
        if isinstance(cause, OSError):
            reason = cause.strerror or str(cause) or reason
        cause = cause.__cause__ or cause.__context__
    return reason
