"""The conversation list with last messages: get_sorted_conversation_list, and jssdk's for web clients.

Only what the user may see: a last message is the newest one within their span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from greenroom.actors.errors import RecordNotFound
from greenroom.actors.wire import conversation_pb2, sdkws_pb2
from greenroom.persistence.store import SeqState, Store
from greenroom.transport.http.pages import page_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Entry", "entries", "sorted_list"]

_GROUP = 3


class Entry(NamedTuple):
    """One conversation of a list."""

    record: conversation_pb2.Conversation
    last: sdkws_pb2.MsgData | None
    """None: no message that the user may see."""
    state: SeqState

    @property
    def unread(self) -> int:
        return max(0, self.state.max_seq - self.state.read_seq)

    @property
    def place(self) -> tuple[bool, int]:
        """Sort by this, greatest first: pinned, then newest."""
        return self.record.isPinned, self.last.sendTime if self.last else self.state.max_seq_time


async def entries(store: Store, user_id: str, conversation_ids: Sequence[str] | None) -> list[Entry]:
    """The user's conversations (all with None), pinned first, newest first."""
    records = await store.records(user_id, conversation_ids)
    ids = [record.conversationID for record in records]
    states = await store.seq_states(user_id, ids)
    spans = await store.spans(user_id, ids)
    seen = {one: span.end for one, span in spans.items() if span.end >= max(1, span.begin)}
    last = await store.last_messages(seen) if seen else {}
    found = []
    for record in records:
        one = record.conversationID
        message: sdkws_pb2.MsgData | None = None
        if one in last and last[one].seq >= spans[one].begin:
            message = sdkws_pb2.MsgData.FromString(last[one].body)
            message.seq, message.isRead = last[one].seq, last[one].is_read
        found.append(Entry(record, message, states.get(one, SeqState(0, 0, 0))))
    return sorted(found, key=lambda entry: entry.place, reverse=True)


async def sorted_list(
    store: Store, request: conversation_pb2.GetSortedConversationListReq
) -> conversation_pb2.GetSortedConversationListResp:
    """Raises RecordNotFound for a user without conversations."""
    listed = await entries(store, request.userID, list(request.conversationIDs) or None)
    if not listed:
        raise RecordNotFound("no conversations")
    page = page_of(request.pagination, listed)
    groups = await _groups(store, page)
    users = await _peers(store, page)
    response = conversation_pb2.GetSortedConversationListResp(
        conversationTotal=len(listed), unreadTotal=sum(entry.unread for entry in listed)
    )
    for entry in page:
        response.conversationElems.add(
            conversationID=entry.record.conversationID,
            recvMsgOpt=entry.record.recvMsgOpt,
            unreadCount=entry.unread,
            IsPinned=entry.record.isPinned,
            msgInfo=_message_info(entry, users, groups),
        )
    return response


async def _groups(store: Store, page: Sequence[Entry]) -> dict[str, sdkws_pb2.GroupInfo]:
    ids = [entry.record.groupID for entry in page if entry.record.groupID]
    return {group.groupID: group for group in await store.groups(ids)} if ids else {}


async def _peers(store: Store, page: Sequence[Entry]) -> dict[str, sdkws_pb2.UserInfo]:
    ids = [entry.record.userID for entry in page if entry.record.userID]
    return {user.userID: user for user in await store.users(ids)} if ids else {}


def _message_info(
    entry: Entry, users: dict[str, sdkws_pb2.UserInfo], groups: dict[str, sdkws_pb2.GroupInfo]
) -> conversation_pb2.MsgInfo | None:
    message = entry.last
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
    if entry.record.conversationType == _GROUP:
        group = groups.get(entry.record.groupID)
        if group is not None:
            info.groupName, info.groupFaceURL = group.groupName, group.faceURL
            info.groupType, info.groupMemberCount = group.groupType, group.memberCount
    elif (peer := users.get(entry.record.userID)) is not None:
        info.senderName, info.faceURL = peer.nickname, peer.faceURL
    return info
