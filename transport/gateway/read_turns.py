"""How much a user may have read in a turn of the loop, over all their connections, and who is read next."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Hashable

__all__ = ["TURN_BYTES", "ReadTurns", "Reader"]

TURN_BYTES: Final = 64 * 1024
"""What one turn of the loop reads of a user: bytes of frames, of decompressed data and of large answers."""
_FREE_BYTES: Final = 2 * TURN_BYTES
"""What is past this in a turn is a debt: the last request of a turn may be of any size."""
_REPAYMENT_S: Final = 0.001
"""Time in which `TURN_BYTES` of a debt are repaid. To read so much, or to answer it, takes about as long."""
_DEBT_LIMIT_BYTES: Final = 4 * 1024 * 1024
"""What is past this is not counted, so that a user waits for 64 ms at most."""
_USERS_PER_TURN: Final = 4
"""Number of users whose waiting connections are read in one turn of the loop."""


class Reader(Protocol):
    """A connection with requests that were received and not begun yet."""

    @property
    def owner(self) -> Hashable:
        """The user: the connections with the same owner share what is read in a turn."""

    def read_on(self) -> None:
        """Read while `ReadTurns.may_read`. If bytes remain, the connection is added again."""


class ReadTurns:
    """Shares out the turns of the loop among the users whose connections are read.

    Each user may have `TURN_BYTES` read in a turn, however many connections they have. A request that costs much more
    is a debt: nothing is read of this user while it is repaid, which takes about as long as the request took, so that
    others have short turns meanwhile. Connections that may not be read wait.

    Order: the user who has waited longest is read first, and of a user the connection that has waited longest. After
    each turn the loop handles everything else that is due, so a user who sends as fast as they can delays the others by
    one turn of their own only.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._spent: dict[Hashable, int] = {}
        """What was read in this turn, by user."""
        self._debts: dict[Hashable, int] = {}
        self._waiting: dict[Hashable, dict[Reader, None]] = {}
        """The waiting connections of each user, both in their order."""
        self._is_scheduled = self._is_repaying = False
        self._repaid_at = 0.0

    def may_read(self, owner: Hashable) -> bool:
        """Whether more may be read of this user in this turn."""
        return self._spent.get(owner, 0) < TURN_BYTES and owner not in self._debts

    def must_wait(self, owner: Hashable) -> bool:
        """Whether newly received bytes of this user have to wait: for later turns, or for other connections."""
        return owner in self._waiting or not self.may_read(owner)

    def charge(self, owner: Hashable, count: int) -> None:
        """Count this many bytes as read of the user."""
        self._spent[owner] = self._spent.get(owner, 0) + count
        self._schedule()

    def end_turn(self, owner: Hashable) -> None:
        """Read no more of this user in this turn."""
        self.charge(owner, max(TURN_BYTES - self._spent.get(owner, 0), 0))

    def add(self, reader: Reader) -> None:
        """Let `reader` read on in a later turn. If it is already waiting, it keeps its place."""
        self._waiting.setdefault(reader.owner, {})[reader] = None
        self._schedule()

    def discard(self, reader: Reader) -> None:
        """Remove `reader`, if it is waiting."""
        readers = self._waiting.get(reader.owner)
        if readers is not None:
            readers.pop(reader, None)
            if not readers:
                del self._waiting[reader.owner]

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            self._loop.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._is_scheduled = False
        spent, self._spent = self._spent, {}
        for owner, count in spent.items():
            debt = self._debts.get(owner, -_FREE_BYTES) + count
            if debt > 0:
                self._debts[owner] = min(debt, _DEBT_LIMIT_BYTES)
        if self._debts and not self._is_repaying:
            self._is_repaying = True
            self._repaid_at = self._loop.time()
            self._loop.call_later(_REPAYMENT_S, self._repay)
        if self._waiting:
            for owner in tuple(islice(filter(self.may_read, self._waiting), _USERS_PER_TURN)):
                self._read(owner)
            if self._waiting.keys() - self._debts.keys():
                self._schedule()

    def _repay(self) -> None:
        now = self._loop.time()
        # A timer of a busy loop is late.
        repaid = TURN_BYTES * max(1, round((now - self._repaid_at) / _REPAYMENT_S))
        self._repaid_at = now
        self._debts = {owner: debt - repaid for owner, debt in self._debts.items() if debt > repaid}
        self._is_repaying = bool(self._debts)
        if self._is_repaying:
            self._loop.call_later(_REPAYMENT_S, self._repay)
        if self._waiting:
            self._schedule()

    def _read(self, owner: Hashable) -> None:
        readers = self._waiting.pop(owner, {})
        while readers and self.may_read(owner):
            reader = next(iter(readers))
            del readers[reader]
            reader.read_on()
        # The user goes to the end; connections that were added again come after those that were not read.
        again = self._waiting.pop(owner, {})
        if readers or again:
            self._waiting[owner] = {**readers, **again}
