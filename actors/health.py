"""Health of an engine: its counters since the start, whether its store fails, and whether it is overloaded."""

from __future__ import annotations

__all__ = ["Health"]


class Health:
    """Plain attributes of one engine. They are updated where something happens, and read on demand. Not stored."""

    def __init__(self) -> None:
        self.is_overloaded = False
        """Whether there is more work than can be done in time. Meanwhile typing signs are not delivered and presence is
        delayed; a message that was acknowledged as stored is never dropped. The transports set it."""
        self.typing_shed = 0
        """Typing signs that were acknowledged but not delivered."""
        self.sends_answered = 0
        """Messages that were stored, or only pushed if they are not stored. Repeats are not counted."""
        self.slices_stored = 0
        self.slices_refused = 0
        """Slices that the store's rules refused: a repeat, a key that is already taken, an old epoch."""
        self.slices_failed = 0
        """Slices that the store could not write."""
        self.slices_late = 0
        """Slices that waited longer than write_timeout_s."""
        self.sends_limited = 0
        """Messages that were refused because their sender exceeded a limit."""
        self.changes_limited = 0
        """Changes that were refused because the user exceeded a limit."""
        self.anonymous_limited = 0
        """Requests without a valid token that were refused because their address exceeded a limit."""
        self.wrong_secrets = 0
        """Wrong admin secrets that were compared."""
        self.store_fails = False
        """Whether the store's last answer was a failure, or overdue."""

    def count_refusal(self, *, failed: bool) -> None:
        """Count a slice that was not stored: the store could not write it (`failed`), or its rules refused it."""
        self.store_fails = failed
        if failed:
            self.slices_failed += 1
        else:
            self.slices_refused += 1
