"""How often one user, or one address without a token, may ask: the node's `[limits]`, for both transports. A message
or a change counts as several if it is large."""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from greenroom.actors.errors import TooManyRequests
from greenroom.actors.runtime.sampling import Sampler
from greenroom.transport.client_address import LOCAL, ClientAddress, ClientAddresses
from greenroom.transport.token_buckets import TokenBuckets

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.actors.health import Health
    from greenroom.persistence.settings import LimitsSettings

__all__ = ["Limits"]

log = logging.getLogger("greenroom.transport")

_KEYS_LIMIT: Final = 50_000
"""Maximum number of users or addresses that one limit remembers. Each takes about 200 bytes."""
_NAMES_LIMIT: Final = 1_000
"""Maximum number of users or addresses whose refusals are counted between two log lines of one limit."""
_NAMES_SHOWN: Final = 3
"""Maximum number of them that a line names."""
_BYTES_COUNTED: Final = 8 * 1024
"""A message or a change counts once more for each of these bytes. A text, or the message of a picture, has fewer."""
_ROWS_COUNTED: Final = 50
"""A change counts once more for each of these rows. The store takes a few milliseconds for them."""
_GUESSERS_LIMIT: Final = 10_000
"""Maximum number of addresses that are remembered for their wrong secrets."""
_FREE_GUESSES: Final = 3
"""Number of wrong secrets after which an address has to wait. A person mistypes, or has the secret of another node."""
_GUESS_DELAY_S: Final = 1.0
_GUESS_DELAY_MAX_S: Final = 60.0
"""The first wait after a wrong secret, doubled with each further one. A guesser has 1,440 guesses a day."""
_GUESSES_KEPT_S: Final = 600.0
"""After this time without a wrong secret, the wrong secrets of an address no longer count."""


class _Guesses(NamedTuple):
    total: int
    last_at: float
    next_at: float
    """When the address may try again."""


class _Refusals:
    """Refusals of one limit since its last log line, by user or address."""

    def __init__(self, limit: str) -> None:
        """`limit` says what came too often."""
        self._limit = limit
        self._total = 0
        self._by_name: Counter[str] = Counter()
        """Number of refusals by user or address, for the first names only."""

    def add(self, name: str) -> None:
        self._total += 1
        if name in self._by_name or len(self._by_name) < _NAMES_LIMIT:
            self._by_name[name] += 1

    def line(self) -> str:
        """The text of the log line; empty if there were no refusals. They are not counted in the next one."""
        if not self._total:
            return ""
        shown = self._by_name.most_common(_NAMES_SHOWN)
        parts = [f"{times:,} of {name}" for name, times in shown]
        if others := self._total - sum(times for _, times in shown):
            parts.append(f"{others:,} of others")
        text = f"{self._limit}: {self._total:,} refused ({', '.join(parts)})"
        self._total = 0
        self._by_name.clear()
        return text


class Limits:
    """Refuses what comes too often. It never delays anything, so no client waits for another one.

    Users are counted once for all of their connections and both transports; admins are not counted. Addresses are only
    counted for requests without a valid token. Refusals are counted in the node's health, and logged: each
    line says all refusals since the last one of its limit, and `log_rest` those since the last line.
    """

    def __init__(self, settings: LimitsSettings, health: Health, clock: Callable[[], float]) -> None:
        """`clock` is a monotonic time in seconds."""
        self._settings = settings
        self._health = health
        self._clock = clock
        self._sampler = Sampler(clock)
        self._addresses = ClientAddresses(settings.trusted_proxies)
        self._sends = TokenBuckets(
            per_s=settings.sends_per_s, burst=settings.sends_burst, keys_limit=_KEYS_LIMIT
        )
        self._changes = TokenBuckets(
            per_s=settings.changes_per_s, burst=settings.changes_burst, keys_limit=_KEYS_LIMIT
        )
        self._anonymous = TokenBuckets(
            per_s=settings.anonymous_per_s, burst=settings.anonymous_burst, keys_limit=_KEYS_LIMIT
        )
        self._refusals = {
            "sends": _Refusals("more sends than limits.sends_per_s allows"),
            "changes": _Refusals("more changes than limits.changes_per_s allows"),
            "anonymous": _Refusals("more requests without a valid token than limits.anonymous_per_s allows"),
            "secrets": _Refusals("wrong admin secrets"),
        }
        self._guesses: OrderedDict[str, _Guesses] = OrderedDict()
        """Wrong secrets by address; the address of the newest one comes last."""

    def client(self, peer: object, forwarded_for: str = "", real_ip: str = "") -> ClientAddress:
        """The client behind a request. `peer` is what the transport knows of the other end: (address, port, ...), or
        nothing. See `ClientAddresses.read`."""
        if not (isinstance(peer, tuple | list) and peer):
            return LOCAL
        client = self._addresses.read(str(peer[0]), forwarded_for, real_ip)
        if client.is_local and client.is_proxied and self._sampler.is_new("proxy"):
            self._sampler.take("proxy")
            log.warning(
                "a proxy at %s names other clients, and limits.trusted_proxies does not list it: its clients share "
                "one address, and requests without a token are not limited",
                client.text,
            )
        return client

    def exempts(self, client: ClientAddress) -> bool:
        """Whether this client's user has no limits."""
        return self._settings.exempt_loopback and client.is_local and not client.is_proxied

    def check_send(self, user_id: str, size: int) -> None:
        """Count a message of this user, whose data have this size when decompressed. Raises TooManyRequests."""
        wait_s = self._sends.take(user_id, self._clock(), 1 + size // _BYTES_COUNTED)
        if wait_s:
            self._health.sends_limited += 1
            self._refuse_user(user_id, "sends", wait_s)

    def return_send(self, user_id: str) -> None:
        """A message that was counted failed in the store, so its repeat does not count again, except for its size."""
        self._sends.give_back(user_id)

    def check_change(self, user_id: str, size: int) -> None:
        """Count a change that this user makes, whose body has this size. Raises TooManyRequests."""
        wait_s = self._changes.take(user_id, self._clock(), 1 + size // _BYTES_COUNTED)
        if wait_s:
            self._health.changes_limited += 1
            self._refuse_user(user_id, "changes", wait_s)

    def charge_rows(self, user_id: str, rows: int) -> None:
        """Count the rows of a change that was let in, once they are known. They delay the user's next changes and not
        this one: so the largest change is possible, too."""
        if count := rows // _ROWS_COUNTED:
            self._changes.charge(user_id, self._clock(), count)

    def check_anonymous(self, client: ClientAddress) -> None:
        """Count a request without a valid token. Raises TooManyRequests."""
        if client.is_local and self._settings.exempt_loopback:
            return
        wait_s = self._anonymous.take(client.text, self._clock())
        if wait_s:
            self._health.anonymous_limited += 1
            self._note("anonymous", _shown(client), _proxy_hint(client))
            raise TooManyRequests("too many requests without a valid token", retry_after_s=wait_s)

    def forgive(self, client: ClientAddress) -> None:
        """The request that was counted last had a valid token or secret in its body."""
        self._anonymous.give_back(client.text)

    def check_guess(self, client: ClientAddress) -> None:
        """To be called before a secret is compared. Raises TooManyRequests while the address has to wait."""
        guesses = self._guesses.get(client.text)
        if guesses is not None and (wait_s := guesses.next_at - self._clock()) > 0:
            self._health.anonymous_limited += 1
            raise TooManyRequests("too many wrong secrets", retry_after_s=wait_s)

    def note_guess(self, client: ClientAddress, *, is_right: bool) -> None:
        """A secret was compared."""
        former = self._guesses.pop(client.text, None)
        if is_right:
            return
        self._health.wrong_secrets += 1
        now = self._clock()
        count = former.total + 1 if former is not None and now - former.last_at < _GUESSES_KEPT_S else 1
        doublings = count - _FREE_GUESSES
        delay_s = 0.0 if doublings <= 0 else min(_GUESS_DELAY_S * 2.0 ** min(doublings - 1, 16), _GUESS_DELAY_MAX_S)
        self._guesses[client.text] = _Guesses(count, now, now + delay_s)
        if len(self._guesses) > _GUESSERS_LIMIT:
            self._guesses.popitem(last=False)
        waits = f", and has to wait {delay_s:g} s" if delay_s else ""
        self._note("secrets", _shown(client), f"; {_shown(client)} has now sent {count:,}{waits}{_proxy_hint(client)}")

    def log_rest(self) -> None:
        """Log the refusals that are in no line yet. To be called at the stop."""
        for refusals in self._refusals.values():
            if text := refusals.line():
                log.warning("%s", text)

    def _refuse_user(self, user_id: str, what: str, wait_s: float) -> None:
        self._note(what, f"user {user_id!r}")
        raise TooManyRequests(f"too many {what}", retry_after_s=wait_s)


    def _note(self, what: str, name: str, remark: str = "") -> None:
        """Count a refusal of this user or address. The remark is about it alone, and only logged with its line."""
        refusals = self._refusals[what]
        refusals.add(name)
        if self._sampler.take(what):
            log.warning("%s%s", refusals.line(), remark)


def _shown(client: ClientAddress) -> str:
    return client.text or "a local client"


def _proxy_hint(client: ClientAddress) -> str:
    return f"; {client.text} may be a proxy that limits.trusted_proxies lacks" if client.is_proxied else ""
