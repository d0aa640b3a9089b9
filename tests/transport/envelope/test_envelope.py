"""The four codecs: round trips, Go's leniency in JSON, and gzip within its bounds."""

from __future__ import annotations

import contextlib
import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.transport.envelope.codec import (
    CODECS,
    Codec,
    EnvelopeError,
    FrameTooLarge,
    Request,
    Response,
    codec,
)
from greenroom.transport.envelope.compression import compress, decompress

JS = codec("js", False)
JS_GZIP = codec("js", True)

texts = st.text(st.characters(codec="utf-8"), max_size=100)
requests = st.builds(
    Request,
    req_identifier=st.integers(-(2**31), 2**31 - 1),
    token=texts,
    send_id=texts,
    operation_id=texts,
    msg_incr=texts,
    data=st.binary(max_size=400),
)
responses = st.builds(
    Response,
    req_identifier=st.integers(-(2**63), 2**63 - 1),
    msg_incr=texts,
    operation_id=texts,
    err_code=st.integers(-(2**63), 2**63 - 1),
    err_msg=texts,
    data=st.none() | st.binary(min_size=1, max_size=400),
)
codecs = st.sampled_from(CODECS)
FULL = Request(1003, "t", "u1", "op", "u1_1", b"\x00\xff<")
FULL_KEYS: dict[str, Any] = {
    "reqIdentifier": 1003,
    "token": "t",
    "sendID": "u1",
    "operationID": "op",
    "msgIncr": "u1_1",
    "data": "AP88",
}


def test_four_codecs_are_shared() -> None:
    kinds = [("go", False), ("go", True), ("js", False), ("js", True)]
    for number, (sdk_type, compression) in enumerate(kinds):
        found = codec(sdk_type, compression)  # type: ignore[arg-type]
        assert found is CODECS[number]
        assert (found.sdk_type, found.compression) == (sdk_type, compression)


@given(codecs, requests)
def test_request_round_trip(kind: Codec, request: Request) -> None:
    assert kind.decode_request(kind.encode_request(request)) == request


@given(codecs, responses)
def test_response_round_trip(kind: Codec, response: Response) -> None:
    assert kind.decode_response(kind.encode_response(response)) == response


@given(codecs, st.binary(max_size=300))
def test_any_bytes_raise_nothing_else(kind: Codec, frame: bytes) -> None:
    for piece in (frame, gzip.compress(frame)):
        for decode in (kind.decode_request, kind.decode_response):
            with contextlib.suppress(EnvelopeError):
                decode(piece)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([*FULL_KEYS, "SENDID", "Data", "reqidentifier", "errCode", "x"]), json_values
    ),
)
def test_any_json_raises_nothing_else(value: dict[str, Any]) -> None:
    for decode in (JS.decode_request, JS.decode_response):
        with contextlib.suppress(EnvelopeError):
            decode(json.dumps(value).encode())


def test_json_keys_as_the_server_writes_them() -> None:
    assert JS.encode_response(Response(1001, "i", "o", 1302, "BlockedByPeer", b"\x01")) == (
        b'{"reqIdentifier":1001,"msgIncr":"i","operationID":"o","errCode":1302,"errMsg":"BlockedByPeer",'
        b'"data":"AQ=="}'
    )
    assert json.loads(JS.encode_request(FULL)) == FULL_KEYS


def test_json_data_none_and_empty_differ() -> None:
    assert JS.encode_response(Response(2004)).endswith(b'"data":null}')
    assert JS.encode_response(Response(1001, data=b"")).endswith(b'"data":""}')
    assert JS.decode_response(b'{"data":null}').data is None
    assert JS.decode_response(b'{"data":""}').data == b""


@pytest.mark.parametrize("change", [str.upper, str.lower, str.title])
def test_json_keys_in_any_case(change: Any) -> None:
    frame = json.dumps({change(key): value for key, value in FULL_KEYS.items()}).encode()
    assert JS.decode_request(frame) == FULL


def test_json_unknown_keys_are_ignored() -> None:
    frame = json.dumps({"more": [{"deep": None}, 1e300], **FULL_KEYS, "errCode": "?"}).encode()
    assert JS.decode_request(frame) == FULL


@pytest.mark.parametrize(
    ("frame", "request_"),
    [
        (b"{}", Request()),
        (b' {"sendID":"a","sendID":"b"}\n', Request(send_id="b")),
        (b'{"sendID":"a","SENDID":"b","sendID":"c"}', Request(send_id="c")),
        (b'{"sendID":"a","sendID":null,"token":null}', Request(send_id="a")),
        (b'{"data":"AA==","data":null}', Request()),
        (b'{"data":null,"data":"AA=="}', Request(data=b"\x00")),
        (b'{"data":"A\\nA=\\r\\n="}', Request(data=b"\x00")),
        (b'{"sendID":"\\ud83d\\ude00\\ud83d\\\\ud83d"}', Request(send_id="\U0001f600\ufffd\\ud83d")),
        (b'{"sendID":"\xff"}', Request(send_id="\ufffd")),
        (b'{"reqIdentifier":-2147483648}', Request(-(2**31))),
    ],
)
def test_json_as_go_reads_it(frame: bytes, request_: Request) -> None:
    assert JS.decode_request(frame) == request_


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"{}x",
        b"\xef\xbb\xbf{}",
        b'{"x":NaN}',
        b'{"sendID":1}',
        b'{"sendID":["a"]}',
        b'{"data":"A"}',
        b'{"data":"AAAA=="}',
        b'{"data":"-_=="}',
        b'{"data":[1]}',
        b'{"reqIdentifier":"1001"}',
        b'{"reqIdentifier":1001.0}',
        b'{"reqIdentifier":true}',
        b'{"reqIdentifier":2147483648}',
        b'{"x":' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"x":' + b"9" * 5000 + b"}",
    ],
)
def test_bad_json_is_refused(frame: bytes) -> None:
    with pytest.raises(EnvelopeError):
        JS.decode_request(frame)


def test_error_tells_no_values() -> None:
    with pytest.raises(EnvelopeError) as caught:
        JS.decode_request(b'{"sendID":"secret","token":12345}')
    assert "secret" not in str(caught.value)
    assert "12345" not in str(caught.value)


def test_frame_of_the_exact_limit() -> None:
    frame = JS_GZIP.encode_request(FULL)
    size = len(gzip.decompress(frame))
    assert JS_GZIP.decode_request(frame, decompressed_limit_bytes=size) == FULL
    with pytest.raises(FrameTooLarge):
        JS_GZIP.decode_request(frame, decompressed_limit_bytes=size - 1)


def test_bomb_is_refused_at_the_default_limit() -> None:
    with pytest.raises(FrameTooLarge):
        codec("go", True).decode_request(gzip.compress(bytes(64 * 1024 * 1024)))


def test_frame_of_several_members() -> None:
    plain = JS.encode_request(FULL)
    assert JS_GZIP.decode_request(gzip.compress(plain[:9]) + gzip.compress(plain[9:])) == FULL
    with pytest.raises(FrameTooLarge):
        JS_GZIP.decode_request(
            gzip.compress(plain[:9]) + gzip.compress(plain[9:]), decompressed_limit_bytes=len(plain) - 1
        )
    with pytest.raises(EnvelopeError, match="too many members"):
        JS_GZIP.decode_request(gzip.compress(plain) + gzip.compress(b"") * 50)


@pytest.mark.parametrize(
    "tail",
    [b"\x00", b"x", b"\x1f\x8b", gzip.compress(b"x", mtime=0)[:-1]],
    ids=["zero", "text", "magic", "cut member"],
)
def test_trailing_bytes_are_refused(tail: bytes) -> None:
    with pytest.raises(EnvelopeError):
        JS_GZIP.decode_request(JS_GZIP.encode_request(FULL) + tail)


def test_truncated_or_plain_frame_is_refused() -> None:
    frame = JS_GZIP.encode_request(FULL)
    for end in range(len(frame)):
        with pytest.raises(EnvelopeError):
            JS_GZIP.decode_request(frame[:end])
    with pytest.raises(EnvelopeError):
        JS_GZIP.decode_request(JS.encode_request(FULL))


def test_wrong_checksum_is_refused() -> None:
    frame = bytearray(JS_GZIP.encode_request(FULL))
    frame[-6] ^= 1
    with pytest.raises(EnvelopeError):
        JS_GZIP.decode_request(bytes(frame))


def test_gzip_is_the_same_each_time() -> None:
    assert JS_GZIP.encode_request(FULL) == JS_GZIP.encode_request(FULL)
    assert JS_GZIP.encode_request(FULL)[4:8] == bytes(4)


@pytest.mark.parametrize("size", [0, 1, 511, 512, 5000])
def test_fold_is_gzip_for_any_reader(size: int) -> None:
    data = bytes(range(256)) * 20
    folded = compress(data[:size])
    assert gzip.decompress(folded) == data[:size]
    assert decompress(folded, limit_bytes=size) == data[:size]


def test_short_frames_grow_by_gzips_own_bytes_only() -> None:
    assert len(compress(bytes(511))) == 511 + 23
    assert len(compress(bytes(512))) < 100
