"""Short names for writes, as the tests say them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from greenroom.persistence.store import (
    AddMessage,
    AddRecords,
    AddUsers,
    ClaimKey,
    DropRows,
    PutRows,
    RecordOwner,
    Slice,
)
from greenroom.persistence.tables import GroupRow, MemberRow, UserRow

if TYPE_CHECKING:
    from greenroom.persistence.store import AnyWrite, Refusal, Store

__all__ = [
    "commit", "drop_members", "group", "group_key", "member", "members", "message", "pair", "record", "refused",
    "user", "users",
]  # fmt: skip


async def commit(store: Store, key: str, *writes: AnyWrite) -> Refusal | None:
    """Commit one slice of the store's own epoch."""
    (outcome,) = await store.commit([Slice(key, store.epoch, list(writes))])
    return outcome


async def refused(store: Store, key: str, *writes: AnyWrite) -> str:
    """Commit one slice that is refused; why."""
    outcome = await commit(store, key, *writes)
    assert outcome is not None
    return outcome.reason


def user(user_id: str, nickname: str = "") -> UserRow:
    return UserRow(user_id, nickname or user_id.upper(), f"http://{user_id}", "", 1_000, 1, 0)


def users(*user_ids: str) -> AddUsers:
    return AddUsers([user(user_id) for user_id in user_ids])


def message(
    conversation_id: str,
    seq: int,
    send_id: str = "a",
    client: str | None = None,
    *,
    time: int | None = None,
    size: int = 0,
) -> AddMessage:
    digest = hashlib.md5(f"{conversation_id}/{seq}/{send_id}".encode()).hexdigest()
    client = digest if client is None else client
    body = f"body {seq}".encode().ljust(size)
    return AddMessage(conversation_id, seq, send_id, client, digest[::-1], time or 1_000 + seq, 101, body)


def pair(first: str = "a", second: str = "b") -> ClaimKey:
    return ClaimKey("pair", (first, second))


def group_key() -> ClaimKey:
    return ClaimKey("group", ())


def record(conversation_id: str, *owners: tuple[str, str]) -> AddRecords:
    """Records of a single chat, or with an empty peer of a group."""
    if conversation_id.startswith("sg_"):
        return AddRecords(conversation_id, 3, conversation_id[3:], [RecordOwner(*one) for one in owners])
    return AddRecords(conversation_id, 1, "", [RecordOwner(*one) for one in owners])


def group(group_id: str = "g", *, owner: str = "a", count: int = 0) -> PutRows:
    row = GroupRow(
        group_id, group_name="Group", introduction="intro", create_time=5, creator_user_id="a", group_type=2,
        owner_user_id=owner, member_count=count,
    )  # fmt: skip
    return PutRows([row])


def member(user_id: str, role_level: int = 20, nickname: str = "") -> MemberRow:
    return MemberRow("", user_id, nickname, "", role_level, 7, 2, "a", "a")


def members(group_id: str, *rows: MemberRow) -> PutRows:
    return PutRows([msgspec.structs.replace(row, group_id=group_id) for row in rows])


def drop_members(group_id: str, *user_ids: str) -> DropRows:
    return DropRows("member", [(group_id, user_id) for user_id in user_ids])
