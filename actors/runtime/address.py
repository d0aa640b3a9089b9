"""Addresses: a kind and an id, no live reference. Whoever holds one holds a name, not an actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thespian.actors import ActorAddress

__all__ = ["Address"]

new_str = str.__new__


class Address(str, ActorAddress):
    """Where a message goes: `Address("conversation", "a_b")`.

    It is a `str` first, so hashing and comparing are C slots (Thespian's own address compares in Python and
    refuses to be hashed), and it still is an `ActorAddress` to Thespian. Pickles, sorts and prints as
    `kind:id`. A kind holds no colon; an id may.
    """

    __slots__ = ()

    def __new__(cls, kind: str, id: str) -> Address:
        return new_str(cls, f"{kind}:{id}")

    if not TYPE_CHECKING:
        # ActorAddress.__init__ would run for each address made; C's does nothing.
        __init__ = object.__init__

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        kind, _, id_ = self.partition(":")
        return kind, id_

    def __repr__(self) -> str:
        kind, _, id_ = self.partition(":")
        return f"Address({kind!r}, {id_!r})"

    @property
    def kind(self) -> str:
        """Which kind of actor lives here."""
        return self.partition(":")[0]

    @property
    def id(self) -> str:
        """Which one of its kind."""
        return self.partition(":")[2]

    @property
    def addressDetails(self) -> str:
        """Thespian's name for what an address holds."""
        return str(self)

    @property
    def actorAddressString(self) -> str:
        """Thespian's name for the readable form."""
        return str(self)
