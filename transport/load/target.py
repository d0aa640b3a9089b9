"""The server under load: found, logged in to, and given the users and groups that a run needs. HTTP only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError

from greenroom.actors.wire import sdkws_pb2
from greenroom.transport.client.api import Api
from greenroom.transport.client.errors import ClientError, ConnectionLost, Refused
from greenroom.transport.client.link import Door, Link
from greenroom.transport.client.ticker import Ticker
from greenroom.transport.load.bad_input import NOT_ALLOWED, NOT_OPENIM, UNREACHABLE, USAGE, BadInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from greenroom.transport.load.population import DeviceName, Population

__all__ = ["Target"]

USERS_A_CALL = 500
TOKENS_AT_ONCE = 16
PROBE_S = 10.0
NEWEST_SEQ = 1001
GROUP_LIMIT = 1000
"""Members that one call may name."""


class Target:
    """A server by its addresses and secret."""

    def __init__(self, *, ws_url: str, api_url: str, secret: str, admin_id: str) -> None:
        for url, schemes in ((ws_url, ("ws", "wss")), (api_url, ("http", "https"))):
            parts = urlsplit(url)
            if parts.scheme not in schemes or not parts.hostname:
                raise BadInput(USAGE, f"{url!r} is no address: {schemes[0]}://HOST:PORT is wanted")
        self.ws_url = ws_url
        self.api_url = api_url
        self._secret = secret
        self._admin_id = admin_id

    async def prepare(self, population: Population, *, progress: Callable[[str, int, int], None]) -> dict[str, str]:
        """Register the users, make the groups, and a token for each device: `user/platform` -> token."""
        async with Api(self.api_url, timeout_s=30.0, connections=TOKENS_AT_ONCE) as api:
            admin = await self._admin_token(api)
            await self._reach_gateway()
            try:
                tokens = await self._prepare(api, admin, population, progress)
            except Refused as problem:
                raise BadInput(NOT_OPENIM, f"{self.api_url} refused to make users or groups: {problem}") from None
            except ConnectionLost as problem:
                raise BadInput(UNREACHABLE, f"{self.api_url} went away: {problem}") from None
            except (KeyError, TypeError) as problem:
                raise BadInput(NOT_OPENIM, f"{self.api_url} is no OpenIM server: an answer has no {problem}") from None
        first = population.devices[0]
        await self._log_in(first, tokens[f"{first.user_id}/{first.platform_id}"])
        return tokens

    async def _admin_token(self, api: Api) -> str:
        try:
            return await api.admin_token(self._secret, user_id=self._admin_id)
        except Refused as problem:
            if problem.code == 1002:
                raise BadInput(NOT_ALLOWED, f"{self.api_url} does not take this secret ({problem})") from None
            raise BadInput(NOT_OPENIM, f"{self.api_url} gives no admin token: {problem}") from None
        except ConnectionLost as problem:
            if "without an envelope" in str(problem):
                raise BadInput(NOT_OPENIM, f"{self.api_url} is no OpenIM server: {problem}") from None
            raise BadInput(UNREACHABLE, f"{self.api_url} cannot be reached: {problem}") from None
        except (KeyError, TypeError):
            raise BadInput(NOT_OPENIM, f"{self.api_url} is no OpenIM server: its answer has no token") from None

    async def _reach_gateway(self) -> None:
        """Before anything is made on the server: the gateway must take a connection."""
        parts = urlsplit(self.ws_url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        try:
            async with asyncio.timeout(10):
                _, writer = await asyncio.open_connection(parts.hostname, port)
        except (OSError, TimeoutError) as problem:
            reason = getattr(problem, "strerror", None) or type(problem).__name__
            raise BadInput(UNREACHABLE, f"{self.ws_url} cannot be reached: {reason}") from None
        writer.close()

    async def _log_in(self, device: DeviceName, token: str) -> None:
        """One login before many: what the gateway speaks shows in its answer to the first request."""
        door = Door(
            ws_url=self.ws_url,
            user_id=device.user_id,
            token=token,
            platform_id=device.platform_id,
            encoding="go",
            compression=True,
        )
        link = Link(
            door,
            on_push=lambda _: None,
            on_lost=lambda _: None,
            ticker=Ticker.shared(),
            request_timeout_s=PROBE_S,
            max_frame_bytes=2**20,
        )
        try:
            await link.open(timeout_s=PROBE_S)
            request = sdkws_pb2.GetMaxSeqReq(userID=device.user_id)
            sdkws_pb2.GetMaxSeqResp.FromString(await link.request(NEWEST_SEQ, request.SerializeToString()))
        except (ClientError, TimeoutError, DecodeError) as problem:
            reason = str(problem) or type(problem).__name__
            raise BadInput(NOT_OPENIM, f"{self.ws_url} is no gateway of this OpenIM server: {reason}") from None
        finally:
            link.close(ConnectionLost("the probe is over"))

    async def _prepare(
        self, api: Api, admin: str, population: Population, progress: Callable[[str, int, int], None]
    ) -> dict[str, str]:
        user_ids, devices, groups = population.user_ids, population.devices, population.groups
        for first in range(0, len(user_ids), USERS_A_CALL):
            progress("registering users", first, len(user_ids))
            await api.register(*user_ids[first : first + USERS_A_CALL], admin_token=admin, missing_only=True)
        tokens: dict[str, str] = {}
        # One user's tokens one after the other: the login policy looks at the earlier ones.
        by_user: dict[str, list[int]] = {}
        for device in devices:
            by_user.setdefault(device.user_id, []).append(device.platform_id)

        async def make_tokens(user_id: str, platforms: list[int]) -> None:
            for platform in platforms:
                tokens[f"{user_id}/{platform}"] = await api.user_token(user_id, platform_id=platform, admin_token=admin)
            if len(tokens) % 100 == 0:
                progress("making tokens", len(tokens), len(devices))

        await _all(make_tokens(user_id, platforms) for user_id, platforms in by_user.items())
        done = 0

        async def make_group(group_id: str, members: list[str]) -> None:
            nonlocal done
            first, rest = members[: GROUP_LIMIT + 1], members[GROUP_LIMIT + 1 :]
            await api.create_group(first[0], first[1:], name=group_id, token=admin, group_id=group_id)
            for at in range(0, len(rest), GROUP_LIMIT):
                invited = {"groupID": group_id, "invitedUserIDs": rest[at : at + GROUP_LIMIT], "reason": ""}
                await api.call("/group/invite_user_to_group", invited, admin)
            done += 1
            progress("making groups", done, len(groups))

        await _all(make_group(group.group_id, [user_ids[member] for member in group.members]) for group in groups)
        return tokens


async def _all(jobs: Iterable[Awaitable[None]]) -> None:
    """All of them, some at once; the first failure ends it."""
    waiting: Any = iter(jobs)

    async def work() -> None:
        for job in waiting:
            await job

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(TOKENS_AT_ONCE):
                group.create_task(work())
    except* ClientError as problems:
        raise problems.exceptions[0] from None
    except* (KeyError, TypeError) as problems:
        raise problems.exceptions[0] from None
