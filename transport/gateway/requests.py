"""The table of the gateway's requests: the payload, the checks and the handler of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from google.protobuf.message import DecodeError
from msgspec.structs import replace

from greenroom.actors.errors import ArgsError, GreenroomError
from greenroom.actors.rules import limits
from greenroom.actors.wire import msg_pb2, push_pb2, sdkws_pb2
from greenroom.actors.wire.vocabulary import Platform, RequestId

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from google.protobuf.message import Message

    from greenroom.actors.messages import Caller
    from greenroom.actors.queries.pulls import Queries
    from greenroom.transport.envelope.request_response import Request

__all__ = ["REQUESTS", "RequestKind", "Requester"]

_ID_BYTES = limits.text_limit("operationID")
"""Pushes repeat the operation id, and replies both. Counted in characters, as nearly all ids are ASCII."""
LIST_LIMIT_BYTES = 288 * 1024
"""Bound of a request that is a list: 1,000 conversations, or 4,000 users. To parse a larger one takes too long."""

PLAIN_LIMIT_BYTES = 16 * 1024
"""Bound of a request that has a few short fields. More bytes are fields that we do not know."""


class Requester(Protocol):
    """The connection that a request came from, as its handler sees it. A handler replies once to each request."""

    @property
    def queries(self) -> Queries: ...

    def reply(self, request: Request, data: bytes | None) -> None:
        """Reply immediately."""

    def reply_error(self, request: Request, error: GreenroomError) -> None:
        """Reply immediately that the request failed."""

    def query(
        self, request: Request, query: Callable[[Caller, Any], Awaitable[bytes]], payload: Message
    ) -> None:
        """Run the query and reply with its result."""

    def send_message(self, request: Request, message: sdkws_pb2.MsgData) -> None:
        """Send the message to its conversation; the reply is the conversation's answer."""

    def set_background(self, is_background: bool) -> None:
        """Remember whether the app is in the background."""

    def watch(self, subscribe: Sequence[str], unsubscribe: Sequence[str]) -> bytes:
        """Change the users whose presence is watched. Returns the presence of the subscribed users, serialized."""


class RequestKind(NamedTuple):
    """One row of the table."""

    payload: type[Message] | None
    """The class of the request's data; None if the data is ignored."""
    handle: Callable[[Requester, Request, Any], None]
    strict: bool = False
    """Whether an empty field of the envelope is refused with 500."""
    pipelined: bool = False
    """Whether it may begin while earlier requests of its kind are unanswered. Any other request runs alone."""
    ends_connection: bool = False
    """Whether the connection ends after the reply, even after an error."""
    list_field: str = ""
    """The list in the payload that decides its size. Data beyond `LIST_LIMIT_BYTES` is refused before it is parsed; if
    the request is neither a list nor pipelined, data beyond `PLAIN_LIMIT_BYTES`."""

    def run(self, requester: Requester, request: Request) -> None:
        """Check the envelope and the payload, then handle the request."""
        if len(request.operation_id) > _ID_BYTES or len(request.msg_incr) > _ID_BYTES:
            short = replace(
                request, operation_id=request.operation_id[:_ID_BYTES], msg_incr=request.msg_incr[:_ID_BYTES]
            )
            requester.reply_error(short, ArgsError(f"operationID or msgIncr is longer than {_ID_BYTES} bytes"))
            return
        if self.strict and not (
            request.req_identifier and request.send_id and request.operation_id and request.msg_incr
        ):
            requester.reply_error(request, GreenroomError("an envelope field is empty"))
            return
        payload = None
        size = len(request.data or b"")
        if self.list_field and size > LIST_LIMIT_BYTES:
            requester.reply_error(request, ArgsError(f"{self.list_field}: too many"))
            return
        if size > PLAIN_LIMIT_BYTES and not (self.list_field or self.pipelined):
            requester.reply_error(request, ArgsError(f"data: longer than {PLAIN_LIMIT_BYTES} bytes"))
            return
        if self.payload is not None:
            payload = self.payload()
            try:
                payload.ParseFromString(request.data or b"")
                limits.check_frame(payload, size)
            except DecodeError:
                requester.reply_error(request, GreenroomError("the data cannot be decoded"))
                return
            except ArgsError as error:
                requester.reply_error(request, error)
                return
        self.handle(requester, request, payload)


def _newest_seqs(requester: Requester, request: Request, payload: sdkws_pb2.GetMaxSeqReq) -> None:
    requester.query(request, requester.queries.newest_seqs, payload)


def _pull_by_range(requester: Requester, request: Request, payload: sdkws_pb2.PullMessageBySeqsReq) -> None:
    requester.query(request, requester.queries.pull_by_range, payload)


def _pull_by_seqs(requester: Requester, request: Request, payload: msg_pb2.GetSeqMessageReq) -> None:
    requester.query(request, requester.queries.pull_by_seqs, payload)


def _seq_states(
    requester: Requester, request: Request, payload: msg_pb2.GetConversationsHasReadAndMaxSeqReq
) -> None:
    requester.query(request, requester.queries.seq_states, payload)


def _last_messages(requester: Requester, request: Request, payload: msg_pb2.GetLastMessageReq) -> None:
    requester.query(request, requester.queries.last_messages, payload)


def _send_message(requester: Requester, request: Request, payload: sdkws_pb2.MsgData) -> None:
    requester.send_message(request, payload)


def _send_signal(requester: Requester, request: Request, payload: None) -> None:
    # Upstream has only a stub, which always fails.
    requester.reply_error(request, GreenroomError("signal messages are not supported"))


def _logout(requester: Requester, request: Request, payload: push_pb2.DelUserPushTokenReq) -> None:
    if payload.platformID not in Platform.ALL:
        requester.reply_error(request, ArgsError("platformID is invalid"))
        return
    # There are no push tokens to delete yet, and the JWT stays valid.
    requester.reply(request, b"")


def _set_background(
    requester: Requester, request: Request, payload: sdkws_pb2.SetAppBackgroundStatusReq
) -> None:
    requester.set_background(payload.isBackground)
    requester.reply(request, None)


def _watch(requester: Requester, request: Request, payload: sdkws_pb2.SubUserOnlineStatus) -> None:
    try:
        data = requester.watch(payload.subscribeUserID, payload.unsubscribeUserID)
    except GreenroomError as error:
        requester.reply_error(request, error)
    else:
        requester.reply(request, data)


REQUESTS: dict[int, RequestKind] = {
    RequestId.NEWEST_SEQS: RequestKind(sdkws_pb2.GetMaxSeqReq, _newest_seqs),
    RequestId.PULL_BY_RANGE: RequestKind(
        sdkws_pb2.PullMessageBySeqsReq, _pull_by_range, strict=True, list_field="seqRanges"
    ),
    RequestId.SEND_MESSAGE: RequestKind(sdkws_pb2.MsgData, _send_message, pipelined=True),
    RequestId.SEND_SIGNAL: RequestKind(None, _send_signal),
    RequestId.PULL_BY_SEQS: RequestKind(
        msg_pb2.GetSeqMessageReq, _pull_by_seqs, strict=True, list_field="conversations"
    ),
    RequestId.SEQ_STATES: RequestKind(
        msg_pb2.GetConversationsHasReadAndMaxSeqReq, _seq_states, strict=True, list_field="conversationIDs"
    ),
    RequestId.LAST_MESSAGES: RequestKind(msg_pb2.GetLastMessageReq, _last_messages, list_field="conversationIDs"),
    RequestId.LOGOUT: RequestKind(push_pb2.DelUserPushTokenReq, _logout, ends_connection=True),
    RequestId.SET_BACKGROUND: RequestKind(sdkws_pb2.SetAppBackgroundStatusReq, _set_background, strict=True),
    RequestId.PRESENCE: RequestKind(sdkws_pb2.SubUserOnlineStatus, _watch, list_field="subscribeUserID"),
}
"""A request with any other id ends its connection."""
