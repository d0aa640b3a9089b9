"""The server under load: checks that it can be reached and speaks the protocol, and creates the users and groups."""

from __future__ import annotations

import asyncio
import random
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from greenroom.actors.errors import NoPermission
from greenroom.transport.client.api import Api
from greenroom.transport.client.device import Device
from greenroom.transport.client.errors import CannotConnect, ClientClosed, ClientError, ConnectionLost, Refused
from greenroom.transport.client.link import Login
from greenroom.transport.load.exit_codes import BadInput, Exit
from greenroom.transport.load.share import tls_context

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from greenroom.transport.load.population import DeviceName, Population

__all__ = ["Target", "shown_url"]

USERS_A_CALL = 500
TOKENS_AT_ONCE = 16
GROUP_LIMIT = 1000
"""Maximum number of members in one call."""


class Target:
    """A server, known by its URLs and secret."""

    def __init__(self, *, ws_url: str, api_url: str, secret: str, admin_id: str, ca: str = "") -> None:
        """
        ca: a PEM file of certificates to trust, besides the system's own.
        """
        for name, url, schemes in (("--ws", ws_url, ("ws", "wss")), ("--api", api_url, ("http", "https"))):
            if not _is_url(url, schemes):  # It may hold a password, so it is not repeated.
                raise BadInput(Exit.USAGE, f"{name} is not a URL such as {schemes[0]}://HOST:PORT")
        try:
            self._tls = tls_context(ca)
        except (OSError, ssl.SSLError) as problem:
            reason = getattr(problem, "strerror", None) or "it holds no certificate"
            code = Exit.NO_FILE if isinstance(problem, FileNotFoundError) else Exit.USAGE
            raise BadInput(code, f"--ca {ca}: {reason}") from None
        self.ca = ca
        self.ws_url = ws_url
        self.api_url = api_url
        self._shown_ws, self._shown_api = shown_url(ws_url), shown_url(api_url)
        self._secret = secret
        self._admin_id = admin_id

    async def prepare(self, population: Population, *, progress: Callable[[str, int, int], None]) -> dict[str, str]:
        """Register the users and create the groups. Returns a token for each device: `user/platform` -> token."""
        async with Api(self.api_url, timeout_s=30.0, connections=TOKENS_AT_ONCE, tls=self._tls) as api:
            admin = await self._admin_token(api)
            await self._reach_gateway()
            try:
                tokens = await self._prepare(api, admin, population, progress)
            except Refused as problem:
                text = f"{self._shown_api} refused to create users or groups: {problem}"
                raise BadInput(Exit.NOT_OPENIM, text) from None
            except ConnectionLost as problem:
                raise BadInput(Exit.UNREACHABLE, f"{self._shown_api} is no longer reachable: {problem}") from None
            except (KeyError, TypeError) as problem:
                text = f"{self._shown_api} is not an OpenIM server: an answer has no {problem}"
                raise BadInput(Exit.NOT_OPENIM, text) from None
        first = population.devices[0]
        await self._log_in(first, tokens[first.of_token])
        return tokens

    async def _admin_token(self, api: Api) -> str:
        try:
            return await api.admin_token(self._secret, user_id=self._admin_id)
        except Refused as problem:
            if problem.code == NoPermission.code:
                text = f"{self._shown_api} does not accept this secret ({problem})"
                raise BadInput(Exit.NOT_ALLOWED, text) from None
            raise BadInput(Exit.NOT_OPENIM, f"{self._shown_api} did not issue an admin token: {problem}") from None
        except ConnectionLost as problem:
            if "without an envelope" in str(problem):
                raise BadInput(Exit.NOT_OPENIM, f"{self._shown_api} is not an OpenIM server: {problem}") from None
            raise BadInput(Exit.UNREACHABLE, f"{self._shown_api} cannot be reached: {problem}") from None
        except (KeyError, TypeError):
            text = f"{self._shown_api} is not an OpenIM server: its answer has no token"
            raise BadInput(Exit.NOT_OPENIM, text) from None

    async def _reach_gateway(self) -> None:
        """Check that the gateway accepts a connection, before any user or group is created."""
        parts = urlsplit(self.ws_url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        try:
            async with asyncio.timeout(10):
                _, writer = await asyncio.open_connection(parts.hostname, port)
        except (OSError, TimeoutError) as problem:
            reason = getattr(problem, "strerror", None) or type(problem).__name__
            raise BadInput(Exit.UNREACHABLE, f"{self._shown_ws} cannot be reached: {reason}") from None
        writer.close()

    async def _log_in(self, name: DeviceName, token: str) -> None:
        """Log in once: the answer to the first request shows whether the gateway speaks the protocol."""
        login = Login(
            ws_url=self.ws_url,
            user_id=name.user_id,
            token=token,
            platform_id=name.platform_id,
            encoding="go",
            compression=True,
            tls=self._tls,
        )
        device = Device(login, on_messages=None, on_lost=lambda _: None, backoff_base_s=1.0, rng=random.Random())
        try:
            await device.connect()
        except CannotConnect as problem:
            raise BadInput(Exit.UNREACHABLE, f"{self._shown_ws}: {problem}") from None
        except ClientError as problem:
            reason = str(problem) or type(problem).__name__
            text = f"{self._shown_ws} is not a gateway of this OpenIM server: {reason}"
            raise BadInput(Exit.NOT_OPENIM, text) from None
        finally:
            device.end(ClientClosed("the probe is over"))
            await device.wait_ended()

    async def _prepare(
        self, api: Api, admin: str, population: Population, progress: Callable[[str, int, int], None]
    ) -> dict[str, str]:
        user_ids, devices, groups = population.user_ids, population.devices, population.groups
        for first in range(0, len(user_ids), USERS_A_CALL):
            progress("registering users", first, len(user_ids))
            await api.register(*user_ids[first : first + USERS_A_CALL], admin_token=admin, missing_only=True)
        tokens: dict[str, str] = {}
        # The tokens of one user are made one after another, because the login policy depends on earlier tokens.
        by_user: dict[int, list[DeviceName]] = {}
        for device in devices:
            by_user.setdefault(device.user, []).append(device)

        async def make_tokens(names: list[DeviceName]) -> None:
            for name in names:
                tokens[name.of_token] = await api.user_token(
                    name.user_id, platform_id=name.platform_id, admin_token=admin
                )
            if len(tokens) % 100 == 0:
                progress("making tokens", len(tokens), len(devices))

        await _all(make_tokens(names) for names in by_user.values())
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


def shown_url(url: str) -> str:
    """The URL without a password or a query, for reports and errors."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _is_url(url: str, schemes: tuple[str, ...]) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # For example a port that is no number.
        return False


async def _all(jobs: Iterable[Awaitable[None]]) -> None:
    """Do all jobs, some at a time. The first failure ends them all."""
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
