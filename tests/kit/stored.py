"""The stored messages of a conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.persistence.store import Store, StoredMessage

__all__ = ["messages_of"]


async def messages_of(store: Store, chat: str) -> list[StoredMessage]:
    """All messages, in ascending order."""
    newest = (await store.last_messages({chat: 1 << 60})).get(chat)
    return await store.messages_at(chat, range(1, newest.seq + 1)) if newest else []
