"""A database of before opens, is moved forward, and answers every read as it did.

`fixtures/store_4.tar.gz` holds the files of a node of schema version 4, as a kill would have left them: its database,
the log and the mark. Its entities wrote it while the node ran twice; what no command wrote yet (friends, blacks,
columns of records) went through the store's `commit`. `store_4.json.gz` says what the reads of that release answered,
with rows by the names of their columns, and what the first answer to each message was. `store_5` is the same of schema
version 5, the last one in which a pair and a group of one name had one key.
"""

from __future__ import annotations

import base64
import gzip
import json
import tarfile
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from greenroom.persistence.sqlite.check import check
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import AddMessage, Member, Reason, Slice
from greenroom.tests.kit.listed import all_seq_states, newest_seqs
from greenroom.tests.persistence.store_writes import commit, message, pair

FIXTURES: Final = Path(__file__).resolve().parents[1] / "fixtures"


@pytest.fixture(params=["store_4", "store_5"])
def before(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def database(before: str, tmp_path: Path) -> Path:
    with tarfile.open(FIXTURES / f"{before}.tar.gz") as files:
        files.extractall(tmp_path, filter="data")
    return tmp_path / "greenroom.db"


def _told(before: str) -> Any:
    return json.loads(gzip.decompress((FIXTURES / f"{before}.json.gz").read_bytes()))


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, Member):
        # The reads of schema version 4 mixed the two rows.
        rows = {"row": _plain(value.row), "user": _plain(value.user)}
        shown = {name: getattr(value.row, name) or getattr(value.user, name) for name in ("nickname", "face_url")}
        return rows | _plain(value.row) | shown | {"app_manger_level": value.user.app_manger_level}
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


def _arguments(read: str, given: list[Any], told: Any) -> list[Any]:
    if read == "key":
        return [told["kind"], *given]
    return [[tuple(one) for one in each] if read == "pull" and isinstance(each, list) else each for each in given]


async def test_every_read_answers_as_before(before: str, database: Path) -> None:
    told = _told(before)
    store = SqliteStore(database, writer="inline")
    await store.open()
    assert store.epoch == told["epoch"] + 1
    for asked in told["reads"]:
        given = _arguments(asked["read"], asked["args"], asked["answer"])
        if asked["read"] == "newest_seqs":  # They have pages now.
            answer: Any = await newest_seqs(store, *given)
        elif asked["read"] == "seq_states" and given[1] is None:
            answer = _plain(await all_seq_states(store, given[0]))
        else:
            answer = _plain(await getattr(store, asked["read"])(*given))
        told_answer = asked["answer"]
        if asked["read"] == "records":  # In another order since schema 6.
            answer.sort(key=itemgetter("conversation_id"))
            told_answer.sort(key=itemgetter("conversation_id"))
        assert _holds(answer, told_answer), asked
    await store.close()
    assert check(database) == []


async def test_what_was_stored_before_is_no_new_message(before: str, database: Path) -> None:
    store = SqliteStore(database, writer="inline")
    await store.open()
    firsts = _told(before)["first_answers"]
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
    newest = await newest_seqs(store, "alice")
    for number, (name, seq) in enumerate(newest.items()):
        one = AddMessage(name, seq + 1, "alice", f"{number:032x}", "0" * 32, 1 << 41, 101, b"body")
        assert await store.commit([Slice("conversation/x", store.epoch, [one])]) == [None]
    assert await newest_seqs(store, "alice") == {name: seq + 1 for name, seq in newest.items()}
    await store.close()
    assert check(database) == []


@pytest.mark.parametrize("before", ["store_5"], indirect=True)
async def test_pair_whose_key_a_group_had_taken_speaks_now(database: Path) -> None:
    """u30_u31 is the name of a group that has notifications, u40_u41 of one that has none."""
    store = SqliteStore(database, writer="inline")
    await store.open()
    for first, second, twin in (("u30", "u31", "n_u30_u31"), ("u40", "u41", "")):
        name = f"{first}_{second}"
        group = await store.key("group", name)
        assert group is not None
        assert (group.kind, group.twin) == ("group", twin)
        assert await store.key("pair", name) is None
        assert await commit(store, f"conversation/{name}", pair(first, second), message(f"si_{name}", 1)) is None
        outcome = await commit(store, f"conversation/{name}", message(f"n_{name}", 1))
        assert (outcome and outcome.reason) == (Reason.TWIN_TAKEN if twin else None)
    await store.close()
    assert check(database) == []
