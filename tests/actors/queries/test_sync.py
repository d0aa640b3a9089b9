from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from greenroom.actors.errors import NoPermission
from greenroom.actors.messages import Caller
from greenroom.actors.queries import sync
from greenroom.actors.wire import group_pb2, relation_pb2, sdkws_pb2
from greenroom.persistence.store import Store, VersionLog

if TYPE_CHECKING:
    from collections.abc import Sequence

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


@dataclass
class FakeStore:
    """Answers the reads of a sync from what a test puts into its fields."""

    groups_by_id: dict[str, sdkws_pb2.GroupInfo] = field(default_factory=dict)
    members_by_group: dict[str, list[sdkws_pb2.GroupMemberFullInfo]] = field(default_factory=dict)
    logs: dict[tuple[str, str], tuple[int, list[tuple[str, int, int]]]] = field(default_factory=dict)

    async def groups(self, group_ids: Sequence[str]) -> list[sdkws_pb2.GroupInfo]:
        return [self.groups_by_id[one] for one in group_ids if one in self.groups_by_id]

    async def members(
        self, group_id: str, user_ids: Sequence[str] | None = None
    ) -> list[sdkws_pb2.GroupMemberFullInfo]:
        members = self.members_by_group.get(group_id, [])
        if user_ids is None:
            return members
        by_id = {member.userID: member for member in members}
        return [by_id[one] for one in user_ids if one in by_id]

    async def changes(self, log: str, owner_id: str, since: int, *, limit: int = 200) -> VersionLog:
        version, entries = self.logs.get((log, owner_id), (1, []))
        changed = [entry for entry in entries if entry[2] > since]
        return VersionLog(version, LOG_ID, changed if len(changed) <= limit else None)


def _store(groups: dict[str, int]) -> FakeStore:
    """Groups with that many members besides u1, all changed since version 1."""
    store = FakeStore()
    for group_id, count in groups.items():
        ids = ["u1", *(f"m{one}" for one in range(count))]
        store.groups_by_id[group_id] = sdkws_pb2.GroupInfo(groupID=group_id)
        store.members_by_group[group_id] = [sdkws_pb2.GroupMemberFullInfo(userID=one) for one in ids]
        store.logs["members", group_id] = (2, [(one, 1, 2) for one in ids[1:]])
    return store


def _batch(*group_ids: str) -> group_pb2.BatchGetIncrementalGroupMemberReq:
    reqs = [group_pb2.getIncrementalGroupMemberReq(groupID=one, versionID=LOG_ID, version=1) for one in group_ids]
    return group_pb2.BatchGetIncrementalGroupMemberReq(userID="u1", reqList=reqs)


async def test_batch_stops_at_the_limit() -> None:
    store = _store({"a": 200, "b": 200, "c": 200, "d": 1})
    answer = await sync.incremental_members_batch(cast("Store", store), ME, _batch("a", "a", "b", "c", "d"))
    assert set(answer.respList) == {"a", "b", "c"}
    assert len(answer.respList["a"].insert) == 200


async def test_batch_passes_over_dismissed_and_fails_on_strangers() -> None:
    store = _store({"a": 1, "gone": 0, "theirs": 0})
    store.groups_by_id["gone"].status = 2
    store.members_by_group["gone"] = []
    answer = await sync.incremental_members_batch(cast("Store", store), ME, _batch("gone", "a"))
    assert set(answer.respList) == {"a"}
    store.members_by_group["theirs"] = []
    with pytest.raises(NoPermission):
        await sync.incremental_members_batch(cast("Store", store), ME, _batch("a", "theirs"))


async def test_group_only_where_something_changed() -> None:
    store = _store({"a": 0})
    asked = group_pb2.getIncrementalGroupMemberReq(groupID="a", versionID=LOG_ID, version=2)
    assert not (await sync.incremental_members(cast("Store", store), ME, asked)).HasField("group")
    store.logs["members", "a"] = (3, [("", 3, 3)])
    answer = await sync.incremental_members(cast("Store", store), ME, asked)
    assert answer.HasField("group")
    assert not answer.full
    assert not answer.insert


async def test_insert_whose_object_is_gone_is_missing() -> None:
    store = _store({"a": 1})
    store.logs["joined", "u1"] = (3, [("a", 1, 2), ("lost", 1, 3)])
    asked = group_pb2.getIncrementalJoinGroupReq(userID="u1", versionID=LOG_ID, version=1)
    answer = await sync.incremental_joined(cast("Store", store), asked)
    assert [group.groupID for group in answer.insert] == ["a"]
    assert answer.sortVersion == 0


async def test_full_ids_equal() -> None:
    store = _store({"a": 1})
    asked = group_pb2.GetFullGroupMemberUserIDsReq(groupID="a", idHash=sync.id_hash(["u1", "m0"]))
    answer = await sync.full_member_ids(cast("Store", store), asked)
    assert answer.equal
    assert not answer.userIDs
    asked.idHash = 1
    assert list((await sync.full_member_ids(cast("Store", store), asked)).userIDs) == ["u1", "m0"]
    friends = await sync.full_friend_ids(cast("Store", store), relation_pb2.getFullFriendUserIDsReq(userID="u1"))
    assert friends.equal
