"""The common part of all reads of the embedded store: the connection, and the errors."""

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

_IDS_SHOWN: Final = 3
"""Number of requested ids that the text of an error contains."""

_Self = TypeVar("_Self", bound="Reads")
_Asked = ParamSpec("_Asked")
_Answer = TypeVar("_Answer")


class Reads:
    """Base of the classes with the reads: each read is a method with `@read`. Its result is one snapshot."""

    _connection: SqliteConnection | None
    """The connection for reads; None while the store is closed."""
    _instance: bytes
    """The database's id."""

    def _trouble(self, asked: str, error: apsw.Error) -> StoreError:
        """The store's error for a failed statement."""
        raise NotImplementedError

    @property
    def _db(self) -> SqliteConnection:
        assert self._connection is not None
        return self._connection

    def _number(self, user_id: str) -> int:
        """The user's number in the store; -1, which is no user's number, for an unknown user."""
        found = self._db.execute("SELECT id FROM user WHERE user_id = ?", (user_id,)).fetchone()
        return found[0] if found else -1


def read(
    what: str, *, of: int = 0
) -> Callable[
    [Callable[Concatenate[_Self, _Asked], _Answer]],
    Callable[Concatenate[_Self, _Asked], Coroutine[Any, Any, _Answer]],
]:
    """Make a method a read of the store. It raises StoreUnavailable or StoreDamaged in place of SQLite's errors. Their
    text contains `what` was read, and its subject: the argument with index `of`."""

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
    """Encode values as a parameter for json_each."""
    return msgspec.json.encode(list(values)).decode()


def _brief(asked: object) -> str:
    """A short text: the first of many values; only the conversation of a range."""
    if isinstance(asked, str) or not isinstance(asked, Iterable):
        return str(asked)
    names = [str(argument[0] if isinstance(argument, tuple) else argument) for argument in asked]
    more = f" and {len(names) - _IDS_SHOWN} more" if len(names) > _IDS_SHOWN else ""
    return ", ".join(names[:_IDS_SHOWN]) + more
