"""Addresses: a kind and an id. An address is a name; it holds no reference to the actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from thespian.actors import ActorAddress

__all__ = ["Address"]

new_str = str.__new__


class Address(str, ActorAddress):
    """The target of a message: `Address("conversation", "a_b")`.

    It is a `str` first, so hashing and comparison run in C (Thespian's own address compares in Python and cannot be
    hashed), and Thespian still accepts it as an `ActorAddress`. It can be pickled and sorted, and prints as `kind:id`.
    A kind contains no colon; an id may contain some.
    """

    __slots__ = ()

    def __new__(cls, kind: str, id: str) -> Address:
        return new_str(cls, f"{kind}:{id}")

    if not TYPE_CHECKING:
        # ActorAddress.__init__ would run for each new address. The one of `object`, in C, does nothing.
        __init__ = object.__init__

    def __getnewargs__(self) -> tuple[str, str]:  # type: ignore[override]
        kind, _, id_ = self.partition(":")
        return kind, id_

    def __repr__(self) -> str:
        kind, _, id_ = self.partition(":")
        return f"Address({kind!r}, {id_!r})"

    @property
    def kind(self) -> str:
        """The kind of the actor at this address."""
        return self.partition(":")[0]

    @property
    def id(self) -> str:
        """The actor's id within its kind."""
        return self.partition(":")[2]

    @property
    def addressDetails(self) -> str:
        """The address's text, under Thespian's name."""
        return str(self)

    @property
    def actorAddressString(self) -> str:
        """The address's text, under Thespian's other name."""
        return str(self)
