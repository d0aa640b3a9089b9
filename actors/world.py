"""World: everything that an entity uses from outside. The entity gets it when it is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from greenroom.actors.feed import CommitSignal
from greenroom.actors.health import Health

if TYPE_CHECKING:
    import random

    from greenroom.actors.facts import FactStamps
    from greenroom.actors.ports import Clock
    from greenroom.actors.rules.tokens import Authenticator
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.base import LoopBase
    from greenroom.actors.session_table import SessionTable
    from greenroom.persistence.settings import Settings
    from greenroom.persistence.store import Store

__all__ = ["World"]


@dataclass(slots=True, kw_only=True)
class World:
    system: LoopBase
    clock: Clock
    random: random.Random
    store: Store
    sessions: SessionTable
    auth: Authenticator
    settings: Settings
    lanes: tuple[Address, ...]
    facts: FactStamps
    health: Health = field(default_factory=Health)
    commits: CommitSignal = field(default_factory=CommitSignal)

    def lane_of(self, key: str) -> Address:
        """The lane of a key. It stays the same while the node runs."""
        if len(self.lanes) == 1:
            return self.lanes[0]
        return self.lanes[self.facts.slot(key) % len(self.lanes)]

    def is_admin(self, user_id: str) -> bool:
        return user_id in self.settings.auth.admin_user_ids

    def new_id(self) -> str:
        """32 hex digits, as OpenIM's server and client message ids have."""
        return self.random.randbytes(16).hex()
