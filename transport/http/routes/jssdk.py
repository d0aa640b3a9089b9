"""/jssdk/: the conversation list in one request, for web clients without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from greenroom.actors import render
from greenroom.actors.wire import jssdk_pb2 as wire
from greenroom.actors.wire.vocabulary import SessionType
from greenroom.transport.http.access import TOKEN
from greenroom.transport.http.conversation_list import Entry, entries, with_last_messages
from greenroom.transport.http.table import post

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from greenroom.actors.wire import sdkws_pb2
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]

_DEFAULT_COUNT, _MAX_COUNT = 100, 500


async def get_conversations(call: Call, request: wire.GetConversationsReq) -> wire.GetConversationsResp:
    engine, ids = call.engine, list(request.conversationIDs)
    listed = await entries(engine.store, engine.scan_turn, call.caller.user_id, ids)
    response = wire.GetConversationsResp(unreadCount=sum(entry.unread for entry in listed))
    await _add_messages(call, response.conversations, listed)
    return response


async def get_active_conversations(
    call: Call, request: wire.GetActiveConversationsReq
) -> wire.GetActiveConversationsResp:
    count = request.count if 0 < request.count <= _MAX_COUNT else _DEFAULT_COUNT
    listed = await entries(call.engine.store, call.engine.scan_turn, call.caller.user_id, None)
    active = [entry for entry in listed if entry.state.max_seq > 0]
    response = wire.GetActiveConversationsResp(unreadCount=sum(entry.unread for entry in active))
    await _add_messages(call, response.conversations, active[:count])
    return response


async def _add_messages(call: Call, shown: Any, listed: Sequence[Entry]) -> None:
    """Conversations without a message that can be pulled are omitted."""
    async for part, messages in with_last_messages(call.engine.store, listed):
        shown.extend(await _messages(call, part, messages))


async def _messages(
    call: Call, listed: Sequence[Entry], messages: Mapping[str, sdkws_pb2.MsgData]
) -> list[wire.ConversationMsg]:
    store = call.engine.store
    shown = [entry for entry in listed if entry.record.conversation_id in messages]
    group_ids = [entry.record.group_id for entry in shown if entry.record.conversation_type == SessionType.GROUP]
    user_ids = [entry.record.peer_id for entry in shown if entry.record.conversation_type != SessionType.GROUP]
    groups = {row.group_id: render.group_info(row) for row in await store.groups(group_ids)} if group_ids else {}
    users = {row.user_id: render.user_info(row) for row in await store.users(user_ids)} if user_ids else {}
    return [
        wire.ConversationMsg(
            conversation=render.conversation(entry.record),
            lastMsg=messages[entry.record.conversation_id],
            user=users.get(entry.record.peer_id),
            group=groups.get(entry.record.group_id),
            maxSeq=entry.state.max_seq,
            readSeq=entry.state.read_seq,
        )
        for entry in shown
    ]


ROUTES = (
    post(
        "/jssdk/get_conversations", wire.GetConversationsReq, wire.GetConversationsResp, TOKEN,
        get_conversations, protobuf=True,
    ),
    post(
        "/jssdk/get_active_conversations", wire.GetActiveConversationsReq, wire.GetActiveConversationsResp,
        TOKEN, get_active_conversations, protobuf=True,
    ),
)  # fmt: skip
