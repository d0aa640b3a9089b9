"""/msg/: seqs, pulls, and marking messages as read. Sending by admins is in send_msg."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.actors.errors import ArgsError, RecordNotFound
from greenroom.actors.messages import MarkConversationRead, MarkMessagesRead, SetReadSeq
from greenroom.actors.rules.ids import address_of_chat
from greenroom.actors.wire import msg_pb2 as wire
from greenroom.actors.wire import sdkws_pb2
from greenroom.transport.http.access import TOKEN, owner
from greenroom.transport.http.table import post

if TYPE_CHECKING:
    from collections.abc import Iterable

    from greenroom.actors.runtime.address import Address
    from greenroom.transport.http.call import Call

__all__ = ["ROUTES"]


async def newest_seq(call: Call, request: sdkws_pb2.GetMaxSeqReq) -> sdkws_pb2.GetMaxSeqResp:
    answer = await call.engine.queries.newest_seqs(call.caller, request)
    return sdkws_pb2.GetMaxSeqResp.FromString(answer)


async def pull_msg_by_seq(
    call: Call, request: sdkws_pb2.PullMessageBySeqsReq
) -> sdkws_pb2.PullMessageBySeqsResp:
    answer = await call.engine.queries.pull_by_range(call.caller, request)
    return sdkws_pb2.PullMessageBySeqsResp.FromString(answer)


async def get_conversations_has_read_and_max_seq(
    call: Call, request: wire.GetConversationsHasReadAndMaxSeqReq
) -> wire.GetConversationsHasReadAndMaxSeqResp:
    answer = await call.engine.queries.seq_states(call.caller, request)
    return wire.GetConversationsHasReadAndMaxSeqResp.FromString(answer)


async def mark_msgs_as_read(call: Call, request: wire.MarkMsgsAsReadReq) -> None:
    _check_seqs(request.seqs)
    address = _address(request.conversationID)
    command = MarkMessagesRead(
        caller=call.caller,
        conversation_id=request.conversationID,
        user_id=request.userID,
        seqs=list(request.seqs),
    )
    await call.ask(address, command)


async def mark_conversation_as_read(call: Call, request: wire.MarkConversationAsReadReq) -> None:
    _check_read_seq(request.hasReadSeq)
    _check_seqs(request.seqs)
    address = _address(request.conversationID)
    command = MarkConversationRead(
        caller=call.caller,
        conversation_id=request.conversationID,
        user_id=request.userID,
        has_read_seq=request.hasReadSeq,
        seqs=list(request.seqs),
    )
    await call.ask(address, command)


async def set_conversation_has_read_seq(call: Call, request: wire.SetConversationHasReadSeqReq) -> None:
    _check_read_seq(request.hasReadSeq)
    address = _address(request.conversationID)
    command = SetReadSeq(
        caller=call.caller,
        conversation_id=request.conversationID,
        user_id=request.userID,
        has_read_seq=request.hasReadSeq,
    )
    await call.ask(address, command)


async def get_server_time(call: Call, request: wire.GetServerTimeReq) -> wire.GetServerTimeResp:
    return wire.GetServerTimeResp(serverTime=call.engine.clock.now_ms())


def _address(conversation_id: str) -> Address:
    """The entity that owns the conversation. It checks whether the user has a record of it. Raises RecordNotFound."""
    try:
        return address_of_chat(conversation_id)
    except ValueError:
        raise RecordNotFound("conversation not found") from None


def _check_read_seq(seq: int) -> None:
    if seq < 1:
        raise ArgsError("hasReadSeq is invalid")


def _check_seqs(seqs: Iterable[int]) -> None:
    if any(seq <= 0 for seq in seqs):
        raise ArgsError("seqs has a seq below 1")


ROUTES = (
    post(
        "/msg/newest_seq", sdkws_pb2.GetMaxSeqReq, sdkws_pb2.GetMaxSeqResp, owner("userID"), newest_seq,
        required=["userID"],
    ),
    post(
        "/msg/pull_msg_by_seq", sdkws_pb2.PullMessageBySeqsReq, sdkws_pb2.PullMessageBySeqsResp,
        owner("userID"), pull_msg_by_seq, required=["userID"],
    ),
    post(
        "/msg/get_conversations_has_read_and_max_seq", wire.GetConversationsHasReadAndMaxSeqReq,
        wire.GetConversationsHasReadAndMaxSeqResp, owner("userID"), get_conversations_has_read_and_max_seq,
        required=["userID"],
    ),
    post(
        "/msg/mark_msgs_as_read", wire.MarkMsgsAsReadReq, wire.MarkMsgsAsReadResp, owner("userID"),
        mark_msgs_as_read, required=["userID", "conversationID", "seqs"],
    ),
    post(
        "/msg/mark_conversation_as_read", wire.MarkConversationAsReadReq, wire.MarkConversationAsReadResp,
        owner("userID"), mark_conversation_as_read, required=["userID", "conversationID"],
    ),
    post(
        "/msg/set_conversation_has_read_seq", wire.SetConversationHasReadSeqReq,
        wire.SetConversationHasReadSeqResp, owner("userID"), set_conversation_has_read_seq,
        required=["userID", "conversationID"],
    ),
    post("/msg/get_server_time", wire.GetServerTimeReq, wire.GetServerTimeResp, TOKEN, get_server_time),
)  # fmt: skip
