"""Events in SQLite: what they cost, and what becomes of cursors when messages are removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.persistence.sqlite import writer as writer_module
from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.sqlite.statements import connect
from greenroom.persistence.store import AddEvent, AddSubscriber, MessageEvent, Slice
from greenroom.tests.persistence.store_writes import commit, message

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

A_B = "si_a_b"


class Traced:
    """A connection that notes its statements."""

    def __init__(self, path: Path, statements: list[str]) -> None:
        self._real = connect(path)
        self._statements = statements

    def execute(self, statement: str, *values: Any) -> Any:
        self._statements.append(statement)
        return self._real.execute(statement, *values)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


async def test_a_message_costs_nothing_more_when_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: list[str] = []
    monkeypatch.setattr(writer_module, "connect", lambda path, **_: Traced(path, statements))
    store = SqliteStore(tmp_path / "greenroom.db", writer="inline")
    await store.open()
    assert await commit(store, "conversation/a_b", message(A_B, 1)) is None  # From now on all names are known.
    seen = []
    for seq in (2, 4):
        statements.clear()
        slices = [Slice("conversation/a_b", store.epoch, [message(A_B, seq + more)]) for more in (0, 1)]
        assert await store.commit(slices) == [None, None]
        seen.append(list(statements))
        assert await commit(store, "subscriber/s", AddSubscriber("s"), AddEvent("k", "s", b"")) is None
    assert seen[0] == seen[1]
    await store.close()


async def test_a_removed_message_is_missed_and_its_number_is_not_used_again(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "greenroom.db", writer="inline")
    await store.open()
    for seq in (1, 2):
        assert await commit(store, "conversation/a_b", message(A_B, seq)) is None
    assert await commit(store, "subscriber/s", AddSubscriber("s")) is None
    passed = (await store.subscribers())["s"]
    assert await commit(store, "conversation/a_c", message("si_a_c", 1)) is None
    other = connect(tmp_path / "greenroom.db")
    # What a later release will do to a message that nobody needs any more, in one transaction.
    other.execute("DELETE FROM message_key WHERE message = 3")
    other.execute("DELETE FROM message WHERE id = 3")
    other.execute("UPDATE meta SET value = 3 WHERE name = 'removed'")
    other.close()
    assert (await store.tail(passed, 9)).missed
    await store.close()
    store = SqliteStore(tmp_path / "greenroom.db", writer="inline")
    await store.open()
    nothing = await store.tail(passed, 9)
    assert (nothing.events, nothing.missed) == ([], True)
    assert await commit(store, "conversation/a_b", message(A_B, 3), message(A_B, 4)) is None
    for cursor, missed in ((passed, True), (nothing.cursor, False)):
        tail = await store.tail(cursor, 9)
        assert [one.seq for one in tail.events if isinstance(one, MessageEvent)] == [3, 4]
        assert tail.missed == missed
    await store.close()
    assert check(tmp_path) == []
