"""What a handler is given: the engine, and on whose behalf it runs."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from greenroom.actors.runtime.replies import Answer

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Sequence

    from greenroom.actors.messages import Caller, Command
    from greenroom.actors.ports import Clock
    from greenroom.actors.queries.pulls import Queries
    from greenroom.actors.rules.tokens import Authenticator
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.status import NodeStatus
    from greenroom.persistence.settings import Settings
    from greenroom.persistence.store import Store

__all__ = ["Call", "EngineParts", "SessionView", "Sessions"]

ASK_TIMEOUT_S = 8.0
"""Below the SDK's 10 s, above the 5 s after which a store that hangs is given up."""


class Base(Protocol):
    def ask(self, target: Address, message: Any, *, timeout_s: float | None = None) -> Awaitable[Any]:
        """The answer; raises the error of a `Failed`, and AskTimeout."""


class SessionView(Protocol):
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
    """The live connections by user; synchronous, never blocks."""

    def sessions_of(self, user_id: str) -> Sequence[SessionView]: ...

    def online_platforms(self, user_id: str) -> Sequence[int]:
        """Each platform once; empty: offline."""


class HasAuth(Protocol):
    @property
    def auth(self) -> Authenticator: ...


class EngineParts(Protocol):
    """What handlers use of the engine. Nothing of it is changed by a request."""

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
        """The shared one, which get_admin_token asks for."""

    def status(self) -> NodeStatus:
        """What the node says of itself now."""


@dataclass(slots=True)
class Call:
    """One request in flight."""

    engine: EngineParts
    caller: Caller
    """On a route without a token: nobody (an empty user id)."""

    async def ask(self, target: Address, command: Command) -> Any:
        """The value of the entity's answer, or its error."""
        answer = await self.engine.base.ask(target, command, timeout_s=ASK_TIMEOUT_S)
        return answer.value if isinstance(answer, Answer) else answer

    def is_secret(self, candidate: str) -> bool:
        """Takes the same time whatever the candidate is."""
        return hmac.compare_digest(candidate.encode(), self.engine.secret.encode())

    def is_admin(self, user_id: str) -> bool:
        return user_id in self.engine.settings.auth.admin_user_ids
