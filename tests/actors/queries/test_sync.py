from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.errors import NoPermission
from greenroom.actors.messages import Caller
from greenroom.actors.queries import sync
from greenroom.actors.wire import group_pb2, relation_pb2
from greenroom.persistence.sqlite.sqlite_store import SqliteStore
from greenroom.persistence.store import BumpVersion, ChangeRow, VersionLog
from greenroom.tests.persistence.store_writes import commit, drop_members, group, member, members

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from greenroom.persistence.store import Store

LOG_ID = "65a1b2c3d4e5f60718293a4b"

OTHER_ID = "f" * 24
CHANGED = [("a", 1, 4), ("", 3, 5), ("b", 2, 6), (sync.SORT_ID, 3, 7), ("c", 3, 8)]
ME = Caller("u1", 1, "op")


def _log(version: int = 8, changed: list[tuple[str, int, int]] | None = None) -> VersionLog:
    return VersionLog(version, LOG_ID, CHANGED if changed is None else changed)


@pytest.mark.parametrize(
    ("version_id", "version"),
    [("", 3), ("not-an-id", 3), ("0" * 24, 3), (LOG_ID, 0), (OTHER_ID, 3), (LOG_ID, 9), (LOG_ID.upper(), 3)],
)
def test_full_and_empty(version_id: str, version: int) -> None:
    delta = sync.delta_of(_log(), version_id, version)
    assert delta == sync.Delta(8, LOG_ID, True, [], [], [], 0, False)


def test_too_many_changes_is_full() -> None:
    assert sync.delta_of(VersionLog(8, LOG_ID, None), LOG_ID, 3).full


def test_same_version_is_empty() -> None:
    assert sync.delta_of(_log(changed=[]), LOG_ID, 8) == sync.Delta(8, LOG_ID, False, [], [], [], 0, False)


def test_changes_by_state() -> None:
    assert sync.delta_of(_log(), LOG_ID, 3) == sync.Delta(8, LOG_ID, False, ["a"], ["c"], ["b"], 7, True)


def test_id_hash() -> None:
    assert sync.id_hash([]) == 0
    assert sync.id_hash(["a", "b"]) == 0xE53F04D1BCC1428D
    assert sync.id_hash(["<&>"]) == 0x7F97B69D8A56B960


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    opened = SqliteStore(":memory:")
    await opened.open()
    yield opened
    await opened.close()


async def _fill(store: Store, groups: dict[str, int]) -> None:
    """Groups with that many members besides u1, who came after version 1."""
    for group_id, count in groups.items():
        ids = [f"m{one}" for one in range(count)]
        rows = members(group_id, *map(member, ["u1", *ids]))
        change = BumpVersion("members", group_id, [(one, 1) for one in ids])
        assert await commit(store, f"group/{group_id}", group(group_id), rows, change) is None


async def _asked(store: Store, group_id: str, version: int = 1) -> group_pb2.getIncrementalGroupMemberReq:
    log = await store.changes("members", group_id, 0)
    return group_pb2.getIncrementalGroupMemberReq(groupID=group_id, versionID=log.version_id, version=version)


async def _batch(store: Store, *group_ids: str) -> group_pb2.BatchGetIncrementalGroupMemberResp:
    asked = [await _asked(store, one) for one in group_ids]
    request = group_pb2.BatchGetIncrementalGroupMemberReq(userID="u1", reqList=asked)
    return await sync.incremental_members_batch(store, ME, request)


async def test_batch_stops_at_the_limit(store: Store) -> None:
    await _fill(store, {"a": 200, "b": 200, "c": 200, "d": 1})
    answer = await _batch(store, "a", "a", "b", "c", "d")
    assert set(answer.respList) == {"a", "b", "c"}
    assert len(answer.respList["a"].insert) == 200


async def test_batch_ignores_dismissed_and_fails_on_strangers(store: Store) -> None:
    await _fill(store, {"a": 1, "gone": 0, "theirs": 0})
    dismissed = ChangeRow("group", ("gone",), {"status": 2})
    assert await commit(store, "group/gone", dismissed, drop_members("gone", "u1")) is None
    answer = await _batch(store, "gone", "a")
    assert set(answer.respList) == {"a"}
    assert await commit(store, "group/theirs", drop_members("theirs", "u1")) is None
    with pytest.raises(NoPermission):
        await _batch(store, "a", "theirs")


async def test_group_only_where_something_changed(store: Store) -> None:
    await _fill(store, {"a": 1})
    asked = await _asked(store, "a", version=2)
    assert not (await sync.incremental_members(store, ME, asked)).HasField("group")
    assert await commit(store, "group/a", BumpVersion("members", "a", [("", 3)])) is None
    answer = await sync.incremental_members(store, ME, asked)
    assert answer.HasField("group")
    assert not answer.full
    assert not answer.insert


async def test_insert_whose_object_is_gone_is_missing(store: Store) -> None:
    await _fill(store, {"a": 1})
    for name in ("a", "lost"):
        assert await commit(store, "user/u1", BumpVersion("joined", "u1", [(name, 1)])) is None
    log = await store.changes("joined", "u1", 0)
    asked = group_pb2.getIncrementalJoinGroupReq(userID="u1", versionID=log.version_id, version=1)
    answer = await sync.incremental_joined(store, asked)
    assert [group.groupID for group in answer.insert] == ["a"]
    assert answer.sortVersion == 0


async def test_full_ids_equal(store: Store) -> None:
    await _fill(store, {"a": 1})
    asked = group_pb2.GetFullGroupMemberUserIDsReq(groupID="a", idHash=sync.id_hash(["u1", "m0"]))
    answer = await sync.full_member_ids(store, asyncio.Lock(), asked)
    assert answer.equal
    assert not answer.userIDs
    asked.idHash = 1
    assert list((await sync.full_member_ids(store, asyncio.Lock(), asked)).userIDs) == ["u1", "m0"]
    friends = await sync.full_friend_ids(store, relation_pb2.getFullFriendUserIDsReq(userID="u1"))
    assert friends.equal
