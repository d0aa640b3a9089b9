"""Token buckets: how often something may happen, for each key."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["TokenBuckets"]


class TokenBuckets:
    """A bucket for each key. It holds `burst` tokens, and is refilled at `per_s` tokens a second.

    A bucket is one number: the time at which it is full again. A full bucket needs no place, so only keys that were
    used lately are remembered. Bound: `keys_limit` keys; beyond it the one that has rested longest is forgotten, that
    is, its bucket is full again. Each operation takes the same time, however many keys there are.
    """

    def __init__(self, *, per_s: float, burst: int, keys_limit: int) -> None:
        self._interval_s = 1 / per_s
        self._spread_s = (burst - 1) * self._interval_s
        """How far the time at which a bucket is full may lie ahead, for one more token to be in it."""
        self._keys_limit = keys_limit
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """Keys by their last use."""

    def __len__(self) -> int:
        """Number of remembered keys."""
        return len(self._full_at)

    def take(self, key: str, now: float) -> float:
        """Take a token, and return 0. If there is none, return the seconds until there is one."""
        full_at = self._full_at.get(key, now)
        wait_s = full_at - now - self._spread_s
        if wait_s > 0:
            return wait_s
        self._full_at[key] = (full_at if full_at > now else now) + self._interval_s
        self._full_at.move_to_end(key)
        self._forget(now)
        return 0.0

    def give_back(self, key: str) -> None:
        """Put one token back."""
        full_at = self._full_at.get(key)
        if full_at is not None:
            self._full_at[key] = full_at - self._interval_s

    def _forget(self, now: float) -> None:
        """Forget a full bucket, or any if there are too many. Two at a time, so that a crowd of keys shrinks again."""
        buckets = self._full_at
        for _ in range(2):
            key, full_at = next(iter(buckets.items()))
            if full_at > now and len(buckets) <= self._keys_limit:
                return
            del buckets[key]
