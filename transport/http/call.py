"""The call that a handler receives: the engine, and the caller."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from greenroom.actors.runtime.replies import Answer

if TYPE_CHECKING:
    import asyncio
    import random
    from collections.abc import Awaitable, Sequence

    from greenroom.actors.messages import Caller, Command
    from greenroom.actors.ports import Clock
    from greenroom.actors.queries.pulls import Queries
    from greenroom.actors.rules.tokens import Authenticator
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.sampling import Sampler
    from greenroom.actors.status import NodeStatus
    from greenroom.persistence.settings import Settings
    from greenroom.persistence.store import Store
    from greenroom.transport.http.http_request import HttpRequest
    from greenroom.transport.rate_limits import Limits

__all__ = ["Call", "EngineParts", "LiveSession", "Sessions"]

ASK_TIMEOUT_S = 8.0
"""Less than the SDK's 10 s, more than the 5 s after which the node gives up on a hanging store."""


class Base(Protocol):
    sampler: Sampler

    def ask(self, target: Address, message: Any, *, timeout_s: float | None = None) -> Awaitable[Any]:
        """Returns the answer. Raises the error of a `Failed`, and AskTimeout."""


class LiveSession(Protocol):
    """One live connection, as admins see it."""

    @property
    def platform_id(self) -> int: ...
    @property
    def connection_id(self) -> str: ...
    @property
    def is_background(self) -> bool: ...
    @property
    def token(self) -> str: ...


class Sessions(Protocol):
    """The live connections by user. Its methods are synchronous and never block."""

    def sessions_of(self, user_id: str) -> Sequence[LiveSession]: ...

    def online_platforms(self, user_id: str) -> Sequence[int]:
        """The user's platforms, each once; none if the user is offline."""


class HasAuth(Protocol):
    @property
    def auth(self) -> Authenticator: ...


class EngineParts(Protocol):
    """The parts of the engine that handlers use. No request replaces them."""

    @property
    def base(self) -> Base: ...
    @property
    def store(self) -> Store: ...
    @property
    def sessions(self) -> Sessions: ...
    @property
    def queries(self) -> Queries: ...
    @property
    def world(self) -> HasAuth: ...
    @property
    def settings(self) -> Settings: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def rng(self) -> random.Random: ...
    @property
    def secret(self) -> str:
        """The shared secret, which get_admin_token requires."""

    @property
    def scan_turn(self) -> asyncio.Lock:
        """See `greenroom.actors.engine.Engine`."""

    @property
    def search_turn(self) -> asyncio.Lock:
        """See `greenroom.actors.engine.Engine`."""

    def status(self) -> NodeStatus:
        """The node's present status."""

    async def not_ready(self) -> str:
        """Why the node cannot serve now; empty if it can."""


@dataclass(slots=True)
class Call:
    """One request in flight."""

    engine: EngineParts
    caller: Caller
    """On a route without a token, its user id is empty."""
    limits: Limits
    request: HttpRequest

    async def ask(self, target: Address, command: Command) -> Any:
        """The value of the entity's answer, or its error."""
        answer = await self.engine.base.ask(target, command, timeout_s=ASK_TIMEOUT_S)
        return answer.value if isinstance(answer, Answer) else answer

    def is_secret(self, candidate: str) -> bool:
        """Whether this is the shared secret. It is compared in constant time. Raises TooManyRequests, without a
        comparison, while the client's address has to wait because of wrong secrets. No secret at all is no guess."""
        if not candidate:
            return False
        client = self.request.client(self.limits)
        self.limits.check_guess(client)
        is_right = hmac.compare_digest(candidate.encode(), self.engine.secret.encode())
        self.limits.note_guess(client, is_right=is_right)
        return is_right

    def is_limited(self) -> bool:
        """Whether the caller's messages and changes are counted."""
        caller = self.caller
        if caller.is_admin or not caller.user_id:
            return False
        return not self.limits.exempts(self.request.client(self.limits))

    def charge_rows(self, rows: int) -> None:
        """Count the rows that this change writes, if the caller is limited."""
        if self.is_limited():
            self.limits.charge_rows(self.caller.user_id, rows)

    def is_admin(self, user_id: str) -> bool:
        return user_id in self.engine.settings.auth.admin_user_ids
