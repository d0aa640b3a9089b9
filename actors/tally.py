"""What a node has done since it began, in plain integers: counted where it is done, read when somebody asks."""

from __future__ import annotations

__all__ = ["Tally"]


class Tally:
    """One for a node. Not stored: it begins at zero with each start."""

    __slots__ = (
        "sends_answered", "slices_failed", "slices_late", "slices_refused", "slices_stored", "store_fails",
    )  # fmt: skip

    def __init__(self) -> None:
        self.sends_answered = 0
        """Messages taken: stored, or pushed where they are not to be stored. Repeats are not counted."""
        self.slices_stored = 0
        self.slices_refused = 0
        """By the store's rules: a repeat, a key that is taken, an old epoch."""
        self.slices_failed = 0
        """The store could not write."""
        self.slices_late = 0
        """Waited for longer than write_timeout_s."""
        self.store_fails = False
        """Whether the newest word of the store was that it failed, or none in time."""

    def refused(self, *, failed: bool) -> None:
        """A slice was not stored, by the store's rules or because it could not be written."""
        self.store_fails = failed
        if failed:
            self.slices_failed += 1
        else:
            self.slices_refused += 1
