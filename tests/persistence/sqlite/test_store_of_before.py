"""A database of before opens, is moved forward, and answers every read as it did.

`fixtures/store_4.tar.gz` holds the files of a node of schema version 4, as a kill would have left them: its database,
the log and the mark. Its entities wrote it over two lives of the node; what no command wrote yet (friends, blacks,
columns of records) went through the store's `commit`. `store_4.json.gz` says what the reads of that release answered,
with rows by the names of their columns, and what the first answer to each message was.
"""

from __future__ import annotations

import base64
import gzip
import json
import tarfile
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import AddMessage, Member, Reason, Slice

FIXTURES: Final = Path(__file__).resolve().parents[1] / "fixtures"


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with tarfile.open(FIXTURES / "store_4.tar.gz") as files:
        files.extractall(tmp_path, filter="data")
    return tmp_path / "greenroom.db"


def _told() -> Any:
    return json.loads(gzip.decompress((FIXTURES / "store_4.json.gz").read_bytes()))


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Member):
        # The reads of before mixed the two rows.
        shown = {name: getattr(value.row, name) or getattr(value.user, name) for name in ("nickname", "face_url")}
        return _plain(value.row) | shown | {"app_manger_level": value.user.app_manger_level}
    if isinstance(value, msgspec.Struct):
        return {name: _plain(getattr(value, name)) for name in value.__struct_fields__}
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _holds(answer: Any, told: Any) -> bool:
    """Whether all that was told is in the answer. What came since, such as a column, may be there on top."""
    if isinstance(told, list):
        return len(answer) == len(told) and all(map(_holds, answer, told))
    if isinstance(told, dict):
        return told.keys() <= answer.keys() and all(_holds(answer[name], value) for name, value in told.items())
    return bool(answer == told)


def _arguments(read: str, given: list[Any]) -> list[Any]:
    return [[tuple(one) for one in each] if read == "pull" and isinstance(each, list) else each for each in given]


async def test_every_read_answers_as_before(database: Path) -> None:
    told = _told()
    store = SqliteStore(database, writer="inline")
    await store.open()
    assert store.epoch == told["epoch"] + 1
    for asked in told["reads"]:
        answer = _plain(await getattr(store, asked["read"])(*_arguments(asked["read"], asked["args"])))
        assert _holds(answer, asked["answer"]), asked
    await store.close()
    assert check(database) == []


async def test_what_was_stored_before_is_no_new_message(database: Path) -> None:
    store = SqliteStore(database, writer="inline")
    await store.open()
    firsts = _told()["first_answers"]
    for one in firsts:
        name = one["conversation_id"]
        again = AddMessage(name, 10_000, one["send_id"], one["client_msg_id"], "0" * 32, 1, one["content_type"], b"")
        (refused,) = await store.commit([Slice(f"conversation/{name[3:]}", store.epoch, [again])])
        assert refused is not None
        assert refused.reason == Reason.REPEATED
        assert refused.first == (one["seq"], one["server_msg_id"], one["send_time"])
    assert len(firsts) > 150
    await store.close()


async def test_what_comes_next_follows_what_was_stored(database: Path) -> None:
    store = SqliteStore(database, writer="inline")
    await store.open()
    newest = await store.newest_seqs("alice")
    for number, (name, seq) in enumerate(newest.items()):
        one = AddMessage(name, seq + 1, "alice", f"{number:032x}", "0" * 32, 1 << 41, 101, b"body")
        assert await store.commit([Slice("conversation/x", store.epoch, [one])]) == [None]
    assert await store.newest_seqs("alice") == {name: seq + 1 for name, seq in newest.items()}
    await store.close()
    assert check(database) == []
