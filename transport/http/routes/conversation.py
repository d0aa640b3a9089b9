"""/conversation/: a user's conversation records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors import render
from greenroom.actors.errors import RecordNotFound
from greenroom.actors.queries import sync
from greenroom.actors.queries.slice_turns import next_slice
from greenroom.actors.wire import conversation_pb2 as wire
from greenroom.actors.wire.vocabulary import ReceiveOption
from greenroom.transport.http.access import owner
from greenroom.transport.http.conversation_list import sorted_list
from greenroom.transport.http.pages import offset_of
from greenroom.transport.http.table import post

if TYPE_CHECKING:
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]

_SLICE_RECORDS = 250

async def get_all_conversations(
    call: Call, request: wire.GetAllConversationsReq
) -> wire.GetAllConversationsResp:
    """The records are read and converted in slices, between which other tasks run."""
    engine, owner_id = call.engine, request.ownerUserID
    response = wire.GetAllConversationsResp()
    ids = await sync.all_conversation_ids(engine.store, engine.scan_turn, owner_id)
    for start in range(0, len(ids), _SLICE_RECORDS):
        async with engine.scan_turn:
            records = await engine.store.records(owner_id, ids[start : start + _SLICE_RECORDS])
            response.conversations.extend(map(render.conversation, records))
            await next_slice()
    return response


async def get_conversation(call: Call, request: wire.GetConversationReq) -> wire.GetConversationResp:
    records = await call.engine.store.records(request.ownerUserID, [request.conversationID])
    if not records:
        raise RecordNotFound("conversation not found")
    return wire.GetConversationResp(conversation=render.conversation(records[0]))


async def get_conversations(call: Call, request: wire.GetConversationsReq) -> wire.GetConversationsResp:
    records = await call.engine.store.records(request.ownerUserID, list(dict.fromkeys(request.conversationIDs)))
    return wire.GetConversationsResp(conversations=map(render.conversation, records))


async def get_sorted_conversation_list(
    call: Call, request: wire.GetSortedConversationListReq
) -> wire.GetSortedConversationListResp:
    return await sorted_list(call.engine.store, call.engine.scan_turn, request)


async def get_full_conversation_ids(
    call: Call, request: wire.GetFullOwnerConversationIDsReq
) -> wire.GetFullOwnerConversationIDsResp:
    return await sync.full_conversation_ids(call.engine.store, call.engine.scan_turn, request)


async def get_incremental_conversations(
    call: Call, request: wire.GetIncrementalConversationReq
) -> wire.GetIncrementalConversationResp:
    return await sync.incremental_conversations(call.engine.store, request)


async def get_owner_conversation(
    call: Call, request: wire.GetOwnerConversationReq
) -> wire.GetOwnerConversationResp:
    total, records = await call.engine.store.records_page(request.userID, *offset_of(request.pagination))
    return wire.GetOwnerConversationResp(total=total, conversations=map(render.conversation, records))


async def get_not_notify_conversation_ids(
    call: Call, request: wire.GetNotNotifyConversationIDsReq
) -> wire.GetNotNotifyConversationIDsResp:
    option = ReceiveOption.NO_OFFLINE_PUSH
    engine = call.engine
    ids = await sync.all_conversation_ids(engine.store, engine.scan_turn, request.userID, recv_msg_opt=option)
    return wire.GetNotNotifyConversationIDsResp(conversationIDs=ids)


async def get_pinned_conversation_ids(
    call: Call, request: wire.GetPinnedConversationIDsReq
) -> wire.GetPinnedConversationIDsResp:
    engine = call.engine
    ids = await sync.all_conversation_ids(engine.store, engine.scan_turn, request.userID, is_pinned=True)
    return wire.GetPinnedConversationIDsResp(conversationIDs=ids)


ROUTES = (
    post(
        "/conversation/get_all_conversations", wire.GetAllConversationsReq, wire.GetAllConversationsResp,
        owner("ownerUserID"), get_all_conversations, required=["ownerUserID"],
    ),
    post(
        "/conversation/get_conversation", wire.GetConversationReq, wire.GetConversationResp,
        owner("ownerUserID"), get_conversation, required=["ownerUserID", "conversationID"],
    ),
    post(
        "/conversation/get_conversations", wire.GetConversationsReq, wire.GetConversationsResp,
        owner("ownerUserID"), get_conversations, required=["ownerUserID", "conversationIDs"],
    ),
    post(
        "/conversation/get_sorted_conversation_list", wire.GetSortedConversationListReq,
        wire.GetSortedConversationListResp, owner("userID"), get_sorted_conversation_list,
        required=["userID"],
    ),
    post(
        "/conversation/get_full_conversation_ids", wire.GetFullOwnerConversationIDsReq,
        wire.GetFullOwnerConversationIDsResp, owner("userID"), get_full_conversation_ids, required=["userID"],
    ),
    post(
        "/conversation/get_incremental_conversations", wire.GetIncrementalConversationReq,
        wire.GetIncrementalConversationResp, owner("userID"), get_incremental_conversations,
        required=["userID"],
    ),
    post(
        "/conversation/get_owner_conversation", wire.GetOwnerConversationReq, wire.GetOwnerConversationResp,
        owner("userID"), get_owner_conversation, required=["userID"], may_lack_page=True,
    ),
    post(
        "/conversation/get_not_notify_conversation_ids", wire.GetNotNotifyConversationIDsReq,
        wire.GetNotNotifyConversationIDsResp, owner("userID"), get_not_notify_conversation_ids,
        required=["userID"],
    ),
    post(
        "/conversation/get_pinned_conversation_ids", wire.GetPinnedConversationIDsReq,
        wire.GetPinnedConversationIDsResp, owner("userID"), get_pinned_conversation_ids, required=["userID"],
    ),
)  # fmt: skip
