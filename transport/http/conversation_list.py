"""The conversation list with last messages, for get_sorted_conversation_list and for the web clients of jssdk.

A last message is the newest one that the user may see: the newest one within their span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from greenroom.actors.errors import RecordNotFound
from greenroom.actors.queries.slice_turns import next_slice
from greenroom.actors.queries.sync import all_conversation_ids
from greenroom.actors.wire import conversation_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import SessionType
from greenroom.persistence.store import SeqState, Store
from greenroom.transport.http.pages import in_parts, page_of

if TYPE_CHECKING:
    import asyncio
    from collections.abc import AsyncIterator, Sequence

    from greenroom.persistence.tables import GroupRow, RecordRow, UserRow

__all__ = ["Entry", "entries", "sorted_list", "with_last_messages"]

_SLICE_ENTRIES = 20
"""Number of conversations of one read. It is small enough not to delay the loop, and each may have a last message of
512 KiB."""
_MESSAGES_LIMIT_BYTES = 4 * 2**20
"""Bound of the last messages of an answer. The list is cut before the conversation that exceeds it."""


class Entry(NamedTuple):
    """One conversation of a list."""

    record: RecordRow
    state: SeqState
    last_seq: int
    """Seq of the last message; 0 if there is no message that the user may see."""
    last_time: int

    @property
    def unread(self) -> int:
        return max(0, self.state.max_seq - self.state.read_seq)

    @property
    def sort_key(self) -> tuple[bool, int]:
        """The key by which lists are sorted in descending order: pinned conversations come first, then the newest."""
        return self.record.is_pinned, self.last_time if self.last_seq else self.state.max_seq_time


async def entries(
    store: Store, turn: asyncio.Lock, user_id: str, conversation_ids: Sequence[str] | None
) -> list[Entry]:
    """The user's conversations with these ids (None: all), pinned ones first, then the newest first. They are read in
    slices (see `Engine.scan_turn`), between which other tasks run."""
    if conversation_ids is None:
        ids = await all_conversation_ids(store, turn, user_id)
    else:
        ids = list(dict.fromkeys(conversation_ids))
    found: list[Entry] = []
    for start in range(0, len(ids), _SLICE_ENTRIES):
        async with turn:
            found += await _slice(store, user_id, ids[start : start + _SLICE_ENTRIES])
            await next_slice()
    return sorted(found, key=lambda entry: entry.sort_key, reverse=True)


async def _slice(store: Store, user_id: str, ids: Sequence[str]) -> list[Entry]:
    states = await store.seq_states(user_id, ids)
    spans = await store.spans(user_id, ids)
    newest_visible = {name: span.end for name, span in spans.items() if span.end >= max(1, span.begin)}
    last = await store.last_messages(newest_visible) if newest_visible else {}
    found = []
    for record in await store.records(user_id, ids):
        name = record.conversation_id
        seq = time = 0
        if name in last and last[name].seq >= spans[name].begin:
            seq, time = last[name].seq, sdkws_pb2.MsgData.FromString(last[name].body).sendTime
        found.append(Entry(record, states.get(name, SeqState(0, 0, 0)), seq, time))
    return found


async def with_last_messages(
    store: Store, listed: Sequence[Entry]
) -> AsyncIterator[tuple[Sequence[Entry], dict[str, sdkws_pb2.MsgData]]]:
    """The entries in parts, each with its last messages by conversation id, between which other tasks run. They are cut
    where the messages become too many bytes."""
    room = _MESSAGES_LIMIT_BYTES
    async for part in in_parts(listed, _SLICE_ENTRIES):
        messages = await _last_messages(store, part)
        for number, entry in enumerate(part):
            message = messages.get(entry.record.conversation_id)
            room -= message.ByteSize() if message is not None else 0
            if room < 0:
                yield part[:number], messages
                return
        yield part, messages


async def _last_messages(store: Store, listed: Sequence[Entry]) -> dict[str, sdkws_pb2.MsgData]:
    seqs = {entry.record.conversation_id: entry.last_seq for entry in listed if entry.last_seq}
    found = await store.last_messages(seqs) if seqs else {}
    messages = {}
    for name, stored in found.items():
        messages[name] = message = sdkws_pb2.MsgData.FromString(stored.body)
        message.seq, message.isRead = stored.seq, stored.is_read
    return messages


async def sorted_list(
    store: Store, turn: asyncio.Lock, request: conversation_pb2.GetSortedConversationListReq
) -> conversation_pb2.GetSortedConversationListResp:
    """Raises RecordNotFound for a user without conversations."""
    listed = await entries(store, turn, request.userID, list(request.conversationIDs) or None)
    if not listed:
        raise RecordNotFound("no conversations")
    response = conversation_pb2.GetSortedConversationListResp(
        conversationTotal=len(listed), unreadTotal=sum(entry.unread for entry in listed)
    )
    async for part, messages in with_last_messages(store, page_of(request.pagination, listed)):
        groups = await _groups(store, part)
        users = await _peers(store, part)
        for entry in part:
            response.conversationElems.add(
                conversationID=entry.record.conversation_id,
                recvMsgOpt=entry.record.recv_msg_opt,
                unreadCount=entry.unread,
                IsPinned=entry.record.is_pinned,
                msgInfo=_message_info(entry, messages.get(entry.record.conversation_id), users, groups),
            )
    return response


async def _groups(store: Store, page: Sequence[Entry]) -> dict[str, GroupRow]:
    ids = [entry.record.group_id for entry in page if entry.record.group_id]
    return {group.group_id: group for group in await store.groups(ids)} if ids else {}


async def _peers(store: Store, page: Sequence[Entry]) -> dict[str, UserRow]:
    ids = [entry.record.peer_id for entry in page if entry.record.peer_id]
    return {user.user_id: user for user in await store.users(ids)} if ids else {}


def _message_info(
    entry: Entry, message: sdkws_pb2.MsgData | None, users: dict[str, UserRow], groups: dict[str, GroupRow]
) -> conversation_pb2.MsgInfo | None:
    if message is None:
        return None
    info = conversation_pb2.MsgInfo(
        serverMsgID=message.serverMsgID,
        clientMsgID=message.clientMsgID,
        sessionType=message.sessionType,
        sendID=message.sendID,
        recvID=message.recvID,
        senderName=message.senderNickname,
        faceURL=message.senderFaceURL,
        groupID=message.groupID,
        LatestMsgRecvTime=message.sendTime,
        msgFrom=message.msgFrom,
        contentType=message.contentType,
        content=message.content.decode(errors="replace"),
        ex=message.ex,
    )
    if entry.record.conversation_type == SessionType.GROUP:
        group = groups.get(entry.record.group_id)
        if group is not None:
            info.groupName, info.groupFaceURL = group.group_name, group.face_url
            info.groupType, info.groupMemberCount = group.group_type, group.member_count
    elif (peer := users.get(entry.record.peer_id)) is not None:
        info.senderName, info.faceURL = peer.nickname, peer.face_url
    return info
