"""Whether the node has more to do than it can: told by the transport, asked by whoever can leave something out."""

from __future__ import annotations

__all__ = ["Strain"]


class Strain:
    """One for a node. Typing and presence are left out while `is_high`; what was acked never is."""

    __slots__ = ("is_high", "typing_shed")

    def __init__(self) -> None:
        self.is_high = False
        self.typing_shed = 0
        """Typing signs that were acked and not delivered, since the node began."""
