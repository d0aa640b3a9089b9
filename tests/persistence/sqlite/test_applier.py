"""Writes cross to the applier by name and place: both sides must mean the same."""

from __future__ import annotations

import inspect
from typing import Any, cast, get_args

from greenroom.persistence.sqlite.applier import Applier
from greenroom.persistence.sqlite.schema import LAST_REGISTERED, migrate
from greenroom.persistence.sqlite.statements import MEMORY, connect
from greenroom.persistence.store import Block


def test_each_write_has_its_applier() -> None:
    appliers = Applier(cast("Any", None), cast("Any", None)).appliers
    fields = {kind.__name__: list(kind.__struct_fields__) for kind in get_args(Block)}
    assert {name: list(inspect.signature(applier).parameters) for name, applier in appliers.items()} == fields


def test_the_last_registered_is_found_without_reading_all() -> None:
    connection = connect(MEMORY)
    migrate(connection, instance=bytes(16))
    (*_, plan) = connection.execute(f"EXPLAIN QUERY PLAN {LAST_REGISTERED}").fetchone()
    connection.close()
    assert "user_registered" in plan
