"""The applier knows every write, and what it asks of SQLite stays cheap."""

from __future__ import annotations

from typing import Any, cast, get_args

from greenroom.persistence.sqlite.applier import Applier
from greenroom.persistence.sqlite.schema import LAST_REGISTERED, migrate
from greenroom.persistence.sqlite.statements import MEMORY, connect
from greenroom.persistence.store import AnyWrite


def test_each_write_has_its_applier() -> None:
    assert Applier(cast("Any", None), cast("Any", None)).appliers.keys() == {*get_args(AnyWrite)}


def test_the_last_registered_is_found_without_reading_all() -> None:
    connection = connect(MEMORY)
    migrate(connection, instance=bytes(16))
    (*_, plan) = connection.execute(f"EXPLAIN QUERY PLAN {LAST_REGISTERED}").fetchone()
    connection.close()
    assert "user_registered" in plan
