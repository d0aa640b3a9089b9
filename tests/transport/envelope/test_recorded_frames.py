"""Every frame recorded from a real server and the official SDK is read, and written back as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from greenroom.actors.wire import msg_pb2, push_pb2, sdkws_pb2
from greenroom.actors.wire.splice import push_messages
from greenroom.actors.wire.vocabulary import RequestId
from greenroom.transport.envelope.codec import Codec, Request, Response, codec

if TYPE_CHECKING:
    from google.protobuf.message import Message

FRAMES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors/openim-frames.json").read_text()
)["frames"]
ENVELOPES = [frame for frame in FRAMES if frame["encoding"].partition("+")[0] in ("gob", "json")]
REQUESTS = [frame for frame in ENVELOPES if frame["direction"] == "c->s"]
RESPONSES = [frame for frame in ENVELOPES if frame["direction"] == "s->c"]
TEXTS = [frame for frame in FRAMES if frame not in ENVELOPES]

REQUEST_CLASSES: dict[int, type[Message]] = {
    RequestId.NEWEST_SEQS: sdkws_pb2.GetMaxSeqReq,
    RequestId.PULL_BY_RANGE: sdkws_pb2.PullMessageBySeqsReq,
    RequestId.SEND_MESSAGE: sdkws_pb2.MsgData,
    RequestId.PULL_BY_SEQS: msg_pb2.GetSeqMessageReq,
    RequestId.SEQ_STATES: msg_pb2.GetConversationsHasReadAndMaxSeqReq,
    RequestId.LAST_MESSAGES: msg_pb2.GetLastMessageReq,
    RequestId.LOGOUT: push_pb2.DelUserPushTokenReq,
    RequestId.SET_BACKGROUND: sdkws_pb2.SetAppBackgroundStatusReq,
    RequestId.PRESENCE: sdkws_pb2.SubUserOnlineStatus,
}
RESPONSE_CLASSES: dict[int, type[Message]] = {
    RequestId.NEWEST_SEQS: sdkws_pb2.GetMaxSeqResp,
    RequestId.PULL_BY_RANGE: sdkws_pb2.PullMessageBySeqsResp,
    RequestId.SEND_MESSAGE: msg_pb2.SendMsgResp,
    RequestId.PULL_BY_SEQS: msg_pb2.GetSeqMessageResp,
    RequestId.SEQ_STATES: msg_pb2.GetConversationsHasReadAndMaxSeqResp,
    RequestId.LAST_MESSAGES: msg_pb2.GetLastMessageResp,
    RequestId.PUSH: sdkws_pb2.PushMessages,
    RequestId.KICK: push_pb2.DelUserPushTokenResp,
    RequestId.LOGOUT: push_pb2.DelUserPushTokenResp,
    RequestId.SET_BACKGROUND: sdkws_pb2.SetAppBackgroundStatusResp,
    RequestId.PRESENCE: sdkws_pb2.SubUserOnlineStatusTips,
}


def names(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["name"] for frame in frames]


def codec_of(frame: dict[str, Any]) -> Codec:
    envelope, _, compression = frame["encoding"].partition("+")
    return codec("go" if envelope == "gob" else "js", compression == "gzip")


def plain_codec_of(frame: dict[str, Any]) -> Codec:
    return codec(codec_of(frame).sdk_type, False)


def assert_known(message_class: type[Message], payload: bytes) -> None:
    """Every recorded byte belongs to a field that our .proto files know."""
    message = message_class.FromString(payload)
    known = message_class.FromString(payload)
    known.DiscardUnknownFields()
    assert known.SerializeToString(deterministic=True) == message.SerializeToString(deterministic=True)
    assert message_class.FromString(message.SerializeToString()) == message


def test_all_frames_are_covered() -> None:
    assert len(FRAMES) == 108
    assert (len(REQUESTS), len(RESPONSES), len(TEXTS)) == (42, 58, 8)


@pytest.mark.parametrize("frame", REQUESTS, ids=names(REQUESTS))
def test_recorded_request(frame: dict[str, Any]) -> None:
    kind = codec_of(frame)
    recorded = bytes.fromhex(frame["hex"])
    request = kind.decode_request(recorded)
    assert isinstance(request, Request)
    assert request.data == bytes.fromhex(frame["payload_hex"])
    assert_known(REQUEST_CLASSES[request.req_identifier], request.data)
    assert f"-{request.req_identifier}-" in frame["name"]
    assert kind.decode_request(kind.encode_request(request)) == request
    plain = plain_codec_of(frame)
    assert plain.decode_request(plain.encode_request(request)) == request
    if "gob_hex" in frame:
        assert plain.encode_request(request) == bytes.fromhex(frame["gob_hex"])
    if not kind.compression:
        assert kind.encode_request(request) == recorded


@pytest.mark.parametrize("frame", RESPONSES, ids=names(RESPONSES))
def test_recorded_response(frame: dict[str, Any]) -> None:
    kind = codec_of(frame)
    recorded = bytes.fromhex(frame["hex"])
    response = kind.decode_response(recorded)
    assert isinstance(response, Response)
    assert (response.data or b"") == bytes.fromhex(frame.get("payload_hex", ""))
    assert_known(RESPONSE_CLASSES[response.req_identifier], response.data or b"")
    assert kind.decode_response(kind.encode_response(response)) == response
    for field, value in (
        ("reqIdentifier", response.req_identifier),
        ("errCode", response.err_code),
        ("errMsg", json.dumps(response.err_msg)),
        ("msgIncr", json.dumps(response.msg_incr)),
        ("operationID", json.dumps(response.operation_id)),
    ):
        if "decoded: " in frame["meaning"]:
            assert f"{field}={value}" in frame["meaning"]
    plain = plain_codec_of(frame)
    if "gob_hex" in frame:
        assert plain.encode_response(response) == bytes.fromhex(frame["gob_hex"])
    if not kind.compression:
        assert kind.encode_response(response) == recorded


@pytest.mark.parametrize("frame", TEXTS, ids=names(TEXTS))
def test_recorded_text(frame: dict[str, Any]) -> None:
    value = json.loads(bytes.fromhex(frame["hex"]))
    if frame["name"] in ("text-ping", "text-pong"):
        assert value == {"type": frame["name"].removeprefix("text-"), "body": '"op-ping"'}
    else:
        assert list(value) == ["errCode", "errMsg", "errDlt"]


def test_recorded_refusals() -> None:
    bodies = {
        frame["name"]: json.loads(bytes.fromhex(frame["hex"]))
        for frame in FRAMES
        if frame["encoding"].startswith("http")
    }
    assert [body["errCode"] for body in bodies.values()] == [1503, 1602]
    assert bodies["gob-e-bad-token-no-isMsgResp-refused"]["errMsg"] == "TokenMalformedError"
    assert bodies["gob-f-bad-platform-refused"]["errDlt"] == "platformID is invalid"


def test_recorded_pushes_are_what_we_splice() -> None:
    spliced = 0
    for frame in RESPONSES:
        response = codec_of(frame).decode_response(bytes.fromhex(frame["hex"]))
        if response.req_identifier != RequestId.PUSH:
            continue
        pushed = sdkws_pb2.PushMessages.FromString(response.data or b"")
        ((conversation_id, pulled),) = [*pushed.msgs.items(), *pushed.notificationMsgs.items()]
        (message,) = pulled.Msgs
        assert (pulled.isEnd, pulled.endSeq) == (False, 0)
        again = push_messages(conversation_id, message.SerializeToString())
        assert sdkws_pb2.PushMessages.FromString(again) == pushed
        spliced += 1
    assert spliced > 10
