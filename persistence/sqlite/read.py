"""What all reads of the embedded store share: the connection, and their errors."""

from __future__ import annotations

from collections.abc import Iterable
from functools import wraps
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, TypeVar

import apsw
import msgspec

from greenroom.persistence.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from greenroom.persistence.errors import StoreError
    from greenroom.persistence.sqlite.statements import SqliteConnection

__all__ = ["Reads", "json_list", "read"]

_SHOWN: Final = 3
"""How many ids an error names of those that were asked for."""

_Self = TypeVar("_Self", bound="Reads")
_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class Reads:
    """Base of the classes that hold the reads: each read is a method under `@read`. An answer shows one moment."""

    _connection: SqliteConnection | None
    """None: the store is closed."""
    _instance: bytes
    """The database's id."""

    def _trouble(self, asked: str, error: apsw.Error) -> StoreError:
        """The store's error that stands for a failed statement."""
        raise NotImplementedError

    @property
    def _db(self) -> SqliteConnection:
        assert self._connection is not None
        return self._connection

    def _number(self, user_id: str) -> int:
        """The user's number in the store; -1, which no user has, for one that is not named there."""
        found = self._db.execute("SELECT id FROM user WHERE user_id = ?", (user_id,)).fetchone()
        return found[0] if found else -1


def read(
    what: str, *, of: int = 0
) -> Callable[
    [Callable[Concatenate[_Self, _Asked], _Answer]],
    Callable[Concatenate[_Self, _Asked], Coroutine[Any, Any, _Answer]],
]:
    """Makes a method a read of the Store. It raises StoreUnavailable or StoreDamaged in place of SQLite's errors, which
    say what was asked for, and of whom: argument number `of`."""

    def made(
        method: Callable[Concatenate[_Self, _Asked], _Answer],
    ) -> Callable[Concatenate[_Self, _Asked], Coroutine[Any, Any, _Answer]]:
        @wraps(method)
        async def answer(self: _Self, /, *asked: _Asked.args, **options: _Asked.kwargs) -> _Answer:
            if self._connection is None:
                raise StoreUnavailable("the store is closed")
            try:
                return method(self, *asked, **options)
            except apsw.Error as error:
                raise self._trouble(f"{what} {_brief(asked[of] if asked else ())}", error) from error

        return answer

    return made


def json_list(values: Sequence[object]) -> str:
    """A parameter for json_each."""
    return msgspec.json.encode(list(values)).decode()


def _brief(asked: object) -> str:
    """The first few of many; of a range only its conversation."""
    if isinstance(asked, str) or not isinstance(asked, Iterable):
        return str(asked)
    names = [str(one[0] if isinstance(one, tuple) else one) for one in asked]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
