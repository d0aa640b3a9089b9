"""Short names for writes, as the tests say them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from greenroom.persistence.store import (
    AddGroup,
    AddMembers,
    AddMessage,
    AddRecords,
    AddUsers,
    ClaimKey,
    GroupRow,
    MemberRow,
    RecordOwner,
    Slice,
    UserRow,
)

if TYPE_CHECKING:
    from greenroom.persistence.store import Block, Refusal, Store

__all__ = ["commit", "group", "member", "message", "pair", "record", "user", "users"]


async def commit(store: Store, key: str, *writes: Block) -> Refusal | None:
    """Commit one slice of the store's own epoch."""
    (outcome,) = await store.commit([Slice(key, store.epoch, list(writes))])
    return outcome


def user(user_id: str, nickname: str = "") -> UserRow:
    return UserRow(user_id, nickname or user_id.upper(), f"http://{user_id}", "", 1_000, 1, 0)


def users(*user_ids: str) -> AddUsers:
    return AddUsers([user(user_id) for user_id in user_ids])


def message(
    conversation_id: str, seq: int, send_id: str = "a", client: str | None = None, *, time: int | None = None
) -> AddMessage:
    digest = hashlib.md5(f"{conversation_id}/{seq}/{send_id}".encode()).hexdigest()
    client = digest if client is None else client
    return AddMessage(
        conversation_id, seq, send_id, client, digest[::-1], time or 1_000 + seq, 101, f"body {seq}".encode()
    )


def pair(first: str = "a", second: str = "b") -> ClaimKey:
    return ClaimKey("pair", (first, second))


def record(conversation_id: str, *owners: tuple[str, str]) -> AddRecords:
    """Records of a single chat, or with an empty peer of a group."""
    if conversation_id.startswith("sg_"):
        return AddRecords(conversation_id, 3, conversation_id[3:], [RecordOwner(*one) for one in owners])
    return AddRecords(conversation_id, 1, "", [RecordOwner(*one) for one in owners])


def group(group_id: str = "g") -> AddGroup:
    return AddGroup(GroupRow(group_id, "Group", "", "intro", "", 5, "", 0, "a", 2, 0, 0, 0, 0, ""))


def member(user_id: str, role_level: int = 20, nickname: str = "") -> MemberRow:
    return MemberRow(user_id, nickname, "", role_level, 7, 2, "a", "a", 0, "")


def members(group_id: str, *rows: MemberRow) -> AddMembers:
    return AddMembers(group_id, list(rows))
