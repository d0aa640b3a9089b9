"""Token buckets: how often something may happen, and how much it may cost, for each key."""

from __future__ import annotations

from collections import OrderedDict

__all__ = ["TokenBuckets"]


class TokenBuckets:
    """A bucket for each key. It holds `burst` tokens, and is refilled at `per_s` tokens a second.

    A bucket is one number: the time at which it is full again. A full bucket is the same as none, so full ones are
    forgotten when new keys come. A bucket may be in debt: then it is refilled from below zero. Bound: `keys_limit`
    keys. Beyond it one is forgotten even if its bucket is not full, which makes it full. Each operation takes the same
    time, however many keys there are.
    """

    def __init__(self, *, per_s: float, burst: int, keys_limit: int) -> None:
        self._interval_s = 1 / per_s
        self._burst = burst
        self._keys_limit = keys_limit
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """Keys in the order in which they were last looked at."""

    def __len__(self) -> int:
        """Number of remembered keys."""
        return len(self._full_at)

    def take(self, key: str, now: float, cost: int = 1) -> float:
        """Take `cost` tokens, and return 0. If there are fewer, return the seconds until there are enough. A cost above
        the burst needs a full bucket, and leaves a debt."""
        full_at = self._full_at.get(key)
        if full_at is None:
            self._full_at[key] = now + cost * self._interval_s
            self._forget(now)
            return 0.0
        # How far the time at which the bucket is full may lie ahead, for this many tokens to be in it.
        spread_s = (self._burst - cost) * self._interval_s if cost < self._burst else 0.0
        wait_s = full_at - now - spread_s
        if wait_s > 0:
            return wait_s
        self._full_at[key] = (full_at if full_at > now else now) + cost * self._interval_s
        return 0.0

    def charge(self, key: str, now: float, cost: int) -> None:
        """Take `cost` more tokens for what was let in before its cost was known. If there are fewer, this leaves a
        debt."""
        full_at = self._full_at.get(key)
        self._full_at[key] = (full_at if full_at is not None and full_at > now else now) + cost * self._interval_s
        if full_at is None:
            self._forget(now)

    def give_back(self, key: str) -> None:
        """Put one token back."""
        full_at = self._full_at.get(key)
        if full_at is not None:
            self._full_at[key] = full_at - self._interval_s

    def _forget(self, now: float) -> None:
        """Look at the two keys that were not looked at for longest: two, so that a crowd of keys shrinks again."""
        buckets = self._full_at
        for _ in range(min(2, len(buckets))):
            key, full_at = next(iter(buckets.items()))
            if full_at <= now:
                del buckets[key]
            else:
                buckets.move_to_end(key)
        if len(buckets) > self._keys_limit:
            buckets.popitem(last=False)
