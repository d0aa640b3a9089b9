"""The conversation list with last messages, for get_sorted_conversation_list and for the web clients of jssdk.

A last message is the newest one that the user may see: the newest one within their span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from greenroom.actors.errors import RecordNotFound
from greenroom.actors.wire import conversation_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import SessionType
from greenroom.persistence.store import SeqState, Store
from greenroom.transport.http.pages import page_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.tables import GroupRow, RecordRow, UserRow

__all__ = ["Entry", "entries", "sorted_list"]



class Entry(NamedTuple):
    """One conversation of a list."""

    record: RecordRow
    last_message: sdkws_pb2.MsgData | None
    """None if there is no message that the user may see."""
    state: SeqState

    @property
    def unread(self) -> int:
        return max(0, self.state.max_seq - self.state.read_seq)

    @property
    def sort_key(self) -> tuple[bool, int]:
        """In descending order: pinned conversations first, then the newest."""
        return self.record.is_pinned, self.last_message.sendTime if self.last_message else self.state.max_seq_time


async def entries(store: Store, user_id: str, conversation_ids: Sequence[str] | None) -> list[Entry]:
    """The user's conversations with these ids (None: all), pinned ones first, then the newest first."""
    distinct = None if conversation_ids is None else list(dict.fromkeys(conversation_ids))
    records = await store.records(user_id, distinct)
    ids = [record.conversation_id for record in records]
    states = await store.seq_states(user_id, ids)
    spans = await store.spans(user_id, ids)
    newest_visible = {one: span.end for one, span in spans.items() if span.end >= max(1, span.begin)}
    last = await store.last_messages(newest_visible) if newest_visible else {}
    found = []
    for record in records:
        one = record.conversation_id
        message: sdkws_pb2.MsgData | None = None
        if one in last and last[one].seq >= spans[one].begin:
            message = sdkws_pb2.MsgData.FromString(last[one].body)
            message.seq, message.isRead = last[one].seq, last[one].is_read
        found.append(Entry(record, message, states.get(one, SeqState(0, 0, 0))))
    return sorted(found, key=lambda entry: entry.sort_key, reverse=True)


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
            conversationID=entry.record.conversation_id,
            recvMsgOpt=entry.record.recv_msg_opt,
            unreadCount=entry.unread,
            IsPinned=entry.record.is_pinned,
            msgInfo=_message_info(entry, users, groups),
        )
    return response


async def _groups(store: Store, page: Sequence[Entry]) -> dict[str, GroupRow]:
    ids = [entry.record.group_id for entry in page if entry.record.group_id]
    return {group.group_id: group for group in await store.groups(ids)} if ids else {}


async def _peers(store: Store, page: Sequence[Entry]) -> dict[str, UserRow]:
    ids = [entry.record.peer_id for entry in page if entry.record.peer_id]
    return {user.user_id: user for user in await store.users(ids)} if ids else {}


def _message_info(
    entry: Entry, users: dict[str, UserRow], groups: dict[str, GroupRow]
) -> conversation_pb2.MsgInfo | None:
    message = entry.last_message
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
