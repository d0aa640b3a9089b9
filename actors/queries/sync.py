"""Incremental sync by version, and full id lists (PROTOCOL 5.9, 5.10): what a client has missed in a list.

Nothing is written. The version is read before the objects. So an answer may hold an object that is newer than its
version, but never an older one, and the client's next request returns what it lacks.
"""

from __future__ import annotations

import hashlib
import string
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from greenroom.actors import render
from greenroom.actors.errors import GroupDismissed, NoPermission, RecordNotFound
from greenroom.actors.queries.slice_turns import next_slice
from greenroom.actors.wire import conversation_pb2, group_pb2, relation_pb2
from greenroom.actors.wire.go_json import escape
from greenroom.actors.wire.vocabulary import ChangeState, GroupStatus

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

    from greenroom.actors.messages import Caller
    from greenroom.persistence.store import LogKind, MemberPlace, RecordPlace, Store, VersionLog
    from greenroom.persistence.tables import GroupRow

__all__ = [
    "Delta", "all_conversation_ids", "all_member_ids", "delta_of", "full_conversation_ids", "full_friend_ids",
    "full_joined_ids", "full_member_ids", "id_hash", "incremental_conversations", "incremental_friends",
    "incremental_joined", "incremental_members", "incremental_members_batch", "readable_group",
]  # fmt: skip

SORT_ID = "____S_O_R_T_I_D____"
"""The entry of a version log for a change of order."""

GROUP_ID = ""
"""The entry of a members log for a change of the group's own info."""

BATCH_CHANGES = 500
"""A batch stops at this many changes. The client asks again for the groups that are missing in the answer."""

_SLICE_IDS = 1000
_SLICE_GROUPS = 25
"""Number of groups of a batch between two turns of other tasks."""
_T = TypeVar("_T")
_MAX_VERSION = 2**63 - 1
_HEX = frozenset(string.hexdigits)
_ZERO_ID = "0" * 24


class Delta(NamedTuple):
    """The changes since the client's version, as ids."""

    version: int
    version_id: str
    full: bool
    """Whether the client must drop its table and read the whole list."""
    insert: list[str]
    update: list[str]
    delete: list[str]
    sort_version: int
    """Version of the last change of order; 0 if the order has not changed."""
    group_changed: bool
    """Whether the group's own info has changed (members log only)."""


def delta_of(log: VersionLog, version_id: str, version: int) -> Delta:
    """Apply the table of PROTOCOL 5.9. `log.changed` holds the changes since `version`."""
    known = version > 0 and _is_object_id(version_id) and version_id == log.version_id
    if not known or version > log.version or log.changed is None:
        return Delta(log.version, log.version_id, True, [], [], [], 0, False)
    by_state: dict[int, list[str]] = {ChangeState.INSERT: [], ChangeState.DELETE: [], ChangeState.UPDATE: []}
    sort_version, group_changed = 0, False
    if version < log.version:
        for entry_id, state, changed_at in log.changed:
            if entry_id == SORT_ID:
                sort_version = changed_at
            elif entry_id == GROUP_ID:
                group_changed = True
            else:
                by_state[state].append(entry_id)
    return Delta(
        log.version, log.version_id, False, by_state[ChangeState.INSERT], by_state[ChangeState.UPDATE],
        by_state[ChangeState.DELETE], sort_version, group_changed,
    )  # fmt: skip


def id_hash(ids: Sequence[str]) -> int:
    """0 for no ids. Otherwise the first 8 bytes of the MD5 of their JSON array, as Go writes it."""
    if not ids:
        return 0
    text = escape(msgspec.json.encode(ids))
    return int.from_bytes(hashlib.md5(text, usedforsecurity=False).digest()[:8], "big")


async def incremental_friends(
    store: Store, request: relation_pb2.getIncrementalFriendsReq
) -> relation_pb2.getIncrementalFriendsResp:
    """Friend objects are not reported yet, because the Store does not list them. Only removed ids are."""
    delta = await _delta(store, "friends", request.userID, request.versionID, request.version)
    return relation_pb2.getIncrementalFriendsResp(
        version=delta.version,
        versionID=delta.version_id,
        full=delta.full,
        delete=delta.delete,
        sortVersion=delta.sort_version,
    )


async def incremental_joined(
    store: Store, request: group_pb2.getIncrementalJoinGroupReq
) -> group_pb2.getIncrementalJoinGroupResp:
    delta = await _delta(store, "joined", request.userID, request.versionID, request.version)
    wanted = delta.insert + delta.update
    groups = {row.group_id: render.group_info(row) for row in await store.groups(wanted)} if wanted else {}
    return group_pb2.getIncrementalJoinGroupResp(
        version=delta.version,
        versionID=delta.version_id,
        full=delta.full,
        delete=delta.delete,
        insert=_present(groups, delta.insert),
        update=_present(groups, delta.update),
    )


async def incremental_conversations(
    store: Store, request: conversation_pb2.GetIncrementalConversationReq
) -> conversation_pb2.GetIncrementalConversationResp:
    delta = await _delta(store, "conversations", request.userID, request.versionID, request.version)
    wanted = delta.insert + delta.update
    found = await store.records(request.userID, wanted) if wanted else []
    records = {row.conversation_id: render.conversation(row) for row in found}
    return conversation_pb2.GetIncrementalConversationResp(
        version=delta.version,
        versionID=delta.version_id,
        full=delta.full,
        delete=delta.delete,
        insert=_present(records, delta.insert),
        update=_present(records, delta.update),
    )


async def incremental_members(
    store: Store, caller: Caller, request: group_pb2.getIncrementalGroupMemberReq
) -> group_pb2.getIncrementalGroupMemberResp:
    """For members of the group and admins. Raises RecordNotFound, GroupDismissed, NoPermission."""
    group = await readable_group(store, caller, request.groupID)
    delta = await _delta(store, "members", request.groupID, request.versionID, request.version)
    wanted = delta.insert + delta.update
    found = await store.members(request.groupID, wanted) if wanted else []
    members = {member.row.user_id: render.member_info(member) for member in found}
    anything = delta.full or wanted or delta.delete or delta.sort_version or delta.group_changed
    return group_pb2.getIncrementalGroupMemberResp(
        version=delta.version,
        versionID=delta.version_id,
        full=delta.full,
        delete=delta.delete,
        insert=_present(members, delta.insert),
        update=_present(members, delta.update),
        group=render.group_info(group) if anything else None,
        sortVersion=delta.sort_version,
    )


async def incremental_members_batch(
    store: Store, caller: Caller, request: group_pb2.BatchGetIncrementalGroupMemberReq
) -> group_pb2.BatchGetIncrementalGroupMemberResp:
    """Answers are in the order asked for, up to BATCH_CHANGES changes. Repeated and dismissed groups are ignored.

    Any other error of one group fails the batch.
    """
    response = group_pb2.BatchGetIncrementalGroupMemberResp()
    changes = 0
    for number, asked in enumerate(request.reqList):
        if number % _SLICE_GROUPS == _SLICE_GROUPS - 1:
            await next_slice()
        if asked.groupID in response.respList:
            continue
        try:
            answer = await incremental_members(store, caller, asked)
        except GroupDismissed:
            continue
        response.respList[asked.groupID].CopyFrom(answer)
        changes += len(answer.insert) + len(answer.update) + len(answer.delete)
        if changes >= BATCH_CHANGES:
            break
    return response


async def full_friend_ids(
    store: Store, request: relation_pb2.getFullFriendUserIDsReq
) -> relation_pb2.getFullFriendUserIDsResp:
    log = await _version(store, "friends", request.userID)
    return relation_pb2.getFullFriendUserIDsResp(
        version=log.version, versionID=log.version_id, equal=request.idHash == id_hash([])
    )


async def full_joined_ids(store: Store, request: group_pb2.GetFullJoinGroupIDsReq) -> group_pb2.GetFullJoinGroupIDsResp:
    log = await _version(store, "joined", request.userID)
    ids = await store.joined_groups(request.userID)
    equal = request.idHash == id_hash(ids)
    return group_pb2.GetFullJoinGroupIDsResp(
        version=log.version, versionID=log.version_id, equal=equal, groupIDs=[] if equal else ids
    )


async def full_member_ids(
    store: Store, turn: asyncio.Lock, request: group_pb2.GetFullGroupMemberUserIDsReq
) -> group_pb2.GetFullGroupMemberUserIDsResp:
    log = await _version(store, "members", request.groupID)
    ids = await all_member_ids(store, turn, request.groupID)
    equal = request.idHash == id_hash(ids)
    return group_pb2.GetFullGroupMemberUserIDsResp(
        version=log.version, versionID=log.version_id, equal=equal, userIDs=[] if equal else ids
    )


async def all_member_ids(store: Store, turn: asyncio.Lock, group_id: str) -> list[str]:
    """Ids of all members of a group, read in slices (see `Engine.scan_turn`), between which other tasks run."""
    ids: dict[str, None] = {}
    place: MemberPlace | None = None
    while True:
        async with turn:
            found, place = await store.member_ids(group_id, place, _SLICE_IDS)
            await next_slice()
        ids.update(dict.fromkeys(found))
        if place is None:
            return list(ids)


async def all_conversation_ids(
    store: Store,
    turn: asyncio.Lock,
    owner_id: str,
    *,
    is_pinned: bool | None = None,
    recv_msg_opt: int | None = None,
) -> list[str]:
    """The same for a user's conversations, or those with the given values."""
    ids: list[str] = []
    place: RecordPlace | None = None
    while True:
        async with turn:
            found, place = await store.record_ids(
                owner_id, place, _SLICE_IDS, is_pinned=is_pinned, recv_msg_opt=recv_msg_opt
            )
            await next_slice()
        ids += found
        if place is None:
            return ids


async def full_conversation_ids(
    store: Store, turn: asyncio.Lock, request: conversation_pb2.GetFullOwnerConversationIDsReq
) -> conversation_pb2.GetFullOwnerConversationIDsResp:
    log = await _version(store, "conversations", request.userID)
    ids = await all_conversation_ids(store, turn, request.userID)
    equal = request.idHash == id_hash(ids)
    return conversation_pb2.GetFullOwnerConversationIDsResp(
        version=log.version, versionID=log.version_id, equal=equal, conversationIDs=[] if equal else ids
    )


async def readable_group(store: Store, caller: Caller, group_id: str) -> GroupRow:
    """The group, if the caller may read its members.

    For a dismissed group every caller gets GroupDismissed, because its former members ask, and are no longer stored.
    Raises RecordNotFound (to admins), GroupDismissed, NoPermission.
    """
    groups = await store.groups([group_id])
    if groups and groups[0].status == GroupStatus.DISMISSED:
        raise GroupDismissed(group_id)
    if not caller.is_admin and not (groups and await store.members(group_id, [caller.user_id])):
        raise NoPermission("not a member of the group")
    if not groups:
        raise RecordNotFound(group_id)
    return groups[0]


def _is_object_id(text: str) -> bool:
    return len(text) == 24 and text != _ZERO_ID and _HEX.issuperset(text)


async def _version(store: Store, log: LogKind, owner_id: str) -> VersionLog:
    return await store.changes(log, owner_id, _MAX_VERSION)


async def _delta(store: Store, log: LogKind, owner_id: str, version_id: str, version: int) -> Delta:
    return delta_of(await store.changes(log, owner_id, min(version, _MAX_VERSION)), version_id, version)


def _present(objects: Mapping[str, _T], ids: Sequence[str]) -> list[_T]:
    """The objects of these ids. Objects that no longer exist are left out."""
    return [objects[name] for name in ids if name in objects]
