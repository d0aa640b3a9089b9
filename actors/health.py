"""How an engine is: what it has done since its start, whether its store fails, whether it is overloaded."""

from __future__ import annotations

__all__ = ["Health"]


class Health:
    """One for an engine, in plain attributes: changed where something happens, read when somebody asks. Not stored."""

    def __init__(self) -> None:
        self.is_overloaded = False
        """There is more to do than can be done in time. Typing and presence are left out meanwhile; what was
        acknowledged never is. The transports set it."""
        self.typing_shed = 0
        """Typing signs that were acknowledged and not delivered."""
        self.sends_answered = 0
        """Messages taken: stored, or pushed where they are not to be stored. Repeats are not counted."""
        self.slices_stored = 0
        self.slices_refused = 0
        """Slices refused by the store's rules: a repeat, a key that is taken, an old epoch."""
        self.slices_failed = 0
        """Slices that the store could not write."""
        self.slices_late = 0
        """Slices that waited for longer than write_timeout_s."""
        self.store_fails = False
        """Whether the newest word of the store was that it failed, or that it did not answer in time."""

    def refused(self, *, failed: bool) -> None:
        """A slice was not stored, by the store's rules or because it could not be written."""
        self.store_fails = failed
        if failed:
            self.slices_failed += 1
        else:
            self.slices_refused += 1
