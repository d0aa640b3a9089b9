"""Gob frames of any sender, and what must be refused."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.transport.envelope.gob import decode_request, decode_response, encode_request, encode_response
from greenroom.transport.envelope.request_response import EnvelopeError, Request, Response

OTHERS = {
    frame["name"]: bytes.fromhex(frame["hex"])
    for frame in json.loads((Path(__file__).parents[2] / "vectors/gob-other-senders.json").read_text())[
        "frames"
    ]
}
PRIMER_REQUEST = bytes.fromhex(
    "657f0301010c47656e6572616c577352657101ff80000106010d5265714964656e7469666965720104000105546f6b656e010c00"
    "010653656e644944010c00010b4f7065726174696f6e4944010c0001074d7367496e6372010c00010444617461010a000000"
    "19ff8001fe07d20202753101036f703101013101040a02753100"
)
RESPONSE_DEFINITION = bytes.fromhex(
    "60ff81030101045265737001ff82000106010d5265714964656e74696669657201040001074d7367496e6372010c0001"
    "0b4f7065726174696f6e4944010c000107457272436f646501040001064572724d7367010c00010444617461010a000000"
)

texts = st.text(st.characters(codec="utf-8"), max_size=300)
int32s = st.integers(-(2**31), 2**31 - 1)
int64s = st.integers(-(2**63), 2**63 - 1)
requests = st.builds(
    Request,
    req_identifier=int32s,
    token=texts,
    send_id=texts,
    operation_id=texts,
    msg_incr=texts,
    data=st.binary(max_size=400),
)
responses = st.builds(
    Response,
    req_identifier=int64s,
    msg_incr=texts,
    operation_id=texts,
    err_code=int64s,
    err_msg=texts,
    data=st.none() | st.binary(min_size=1, max_size=400),
)


def number(value: int) -> bytes:
    """An unsigned number in gob, written the slow way."""
    if value < 128:
        return bytes([value])
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([256 - len(raw)]) + raw


def framed(type_id: int, body: bytes) -> bytes:
    """A gob message of this type id."""
    message = number(type_id << 1 if type_id >= 0 else ~type_id << 1 | 1) + body
    return number(len(message)) + message


def struct_definition(type_id: int, fields: list[tuple[bytes, int]]) -> bytes:
    listed = b"".join(
        b"\x01" + number(len(name)) + name + b"\x01" + number(kind << 1) + b"\x00" for name, kind in fields
    )
    common = b"\x01\x01\x01X\x01" + number(type_id << 1) + b"\x00"
    return framed(-type_id, b"\x03" + common + b"\x01" + number(len(fields)) + listed + b"\x00\x00")


@given(requests)
def test_request_round_trip(request: Request) -> None:
    assert decode_request(encode_request(request)) == request


@given(responses)
def test_response_round_trip(response: Response) -> None:
    assert decode_response(encode_response(response)) == response


def test_empty_data_is_absent() -> None:
    assert encode_response(Response(2003, data=b"")) == encode_response(Response(2003, data=None))


def test_request_of_the_primer() -> None:
    request = Request(1001, "", "u1", "op1", "1", b"\n\x02u1")
    assert decode_request(PRIMER_REQUEST) == request
    assert encode_request(request) == PRIMER_REQUEST


@pytest.mark.parametrize(
    ("value", "response"),
    [
        ("07ff8201fe0fa400", Response(2002)),
        ("13ff8201fe07d201013101036f70310302010200", Response(1001, "1", "op1", data=b"\x01\x02")),
        (
            "1bff8201fe07d601013701026f7001fe0a2c0107626c6f636b656400",
            Response(1003, "7", "op", 1302, "blocked"),
        ),
    ],
)
def test_response_of_another_process(value: str, response: Response) -> None:
    assert decode_response(RESPONSE_DEFINITION + bytes.fromhex(value)) == response


@pytest.mark.parametrize("name", ["odd", "permuted"])
def test_request_of_another_struct(name: str) -> None:
    request = decode_request(OTHERS[name])
    assert request == Request(1001, "", "u1", "op", "u1_1", b"payload")


def test_field_order_with_definitions_of_equal_length() -> None:
    fields = [(b"ReqIdentifier", 2), (b"Token", 6), (b"SendID", 6), (b"OperationID", 6), (b"MsgIncr", 6)]
    value = b"\x01\x04\x01\x01a\x01\x01b\x01\x01c\x01\x01d\x00"
    straight = struct_definition(64, [*fields, (b"Data", 5)]) + framed(64, value)
    swapped = struct_definition(64, [*fields[:1], *fields[:0:-1], (b"Data", 5)]) + framed(64, value)
    assert len(straight) == len(swapped)
    for _ in range(2):
        assert decode_request(straight) == Request(2, "a", "b", "c", "d")
        assert decode_request(swapped) == Request(2, "d", "c", "b", "a")


def test_definition_after_the_usual_one() -> None:
    usual = PRIMER_REQUEST[:-26]
    more = struct_definition(65, [(b"MsgIncr", 6)])
    assert decode_request(usual + more + PRIMER_REQUEST[-26:]) == decode_request(PRIMER_REQUEST)
    assert decode_request(usual + more + framed(65, b"\x01\x01x\x00")) == Request(msg_incr="x")


def test_numbers_at_their_ends() -> None:
    assert decode_response(OTHERS["negative"]) == Response(-5, err_code=-(2**63), err_msg="größer")
    assert decode_response(OTHERS["big"]) == Response(err_code=2**63 - 1)


def test_nil_interface_is_refused_only_with_a_value() -> None:
    assert decode_request(OTHERS["interface_nil"]) == Request(1001)
    with pytest.raises(EnvelopeError):
        decode_request(OTHERS["interface"])


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "ends early"),
        (OTHERS["wrong"], "ReqIdentifier has the wrong type"),
        (OTHERS["string"], "not a struct"),
        (OTHERS["slice"], "not a struct"),
        (PRIMER_REQUEST[:-1], "does not end with its value"),
        (PRIMER_REQUEST + b"\x00", "does not end with its value"),
        (PRIMER_REQUEST[:-26], "ends early"),
        (struct_definition(64, [(b"MsgIncr", 6)]) * 2 + framed(64, b"\x00"), "defined twice"),
        (struct_definition(8, [(b"MsgIncr", 6)]) + framed(8, b"\x00"), "defined twice"),
        (struct_definition(64, [(b"Other", 6)]) + framed(64, b"\x00"), "not an envelope"),
        (struct_definition(64, [(b"MsgIncr", 5)]) + framed(64, b"\x00"), "MsgIncr has the wrong type"),
        (struct_definition(64, [(b"MsgIncr", 6)]) + framed(64, b"\x02\x00"), "does not have"),
        (struct_definition(64, [(b"MsgIncr", 6)]) + framed(64, b"\x01\x7fx"), "ends early"),
        (struct_definition(64, [(b"MsgIncr", 6)]) + framed(64, b"\x01\x01\xff\x00"), "not UTF-8"),
        (struct_definition(64, [(b"MsgIncr", 6)]) + framed(64, b"\x00\x00"), "after the value"),
        (struct_definition(64, [(b"ReqIdentifier", 2)]) + framed(64, b"\x01\xfb\x02\0\0\0\0\0"), "range"),
        (struct_definition(64, [(b"MsgIncr", 6), (b"X", 99)]) + framed(64, b"\x02\x00"), "not defined"),
        (
            b"".join(struct_definition(n, [(b"MsgIncr", 6)]) for n in range(64, 130)) + framed(64, b"\0"),
            "types",
        ),
        (struct_definition(64, [(b"MsgIncr", 6)] * 300) + framed(64, b"\0"), "fields"),
        (struct_definition(64, [(b"M" * 20_000, 6)]) + framed(64, b"\0"), "too long"),
    ],
)
def test_bad_frame_is_refused(frame: bytes, reason: str) -> None:
    with pytest.raises(EnvelopeError, match=reason):
        decode_request(frame)


def test_nesting_is_bounded() -> None:
    definition = struct_definition(64, [(b"MsgIncr", 6), (b"X", 64)])
    with pytest.raises(EnvelopeError, match="nested too deep"):
        decode_request(definition + framed(64, b"\x02" * 30_000))


def test_unknown_values_are_bounded() -> None:
    numbers = framed(-65, b"\x02\x01\x00\x01\x04\x00\x00")
    definition = numbers + struct_definition(64, [(b"MsgIncr", 6), (b"X", 65)])
    few = framed(64, b"\x02" + number(3000) + b"\x00" * 3000 + b"\x00")
    assert decode_request(definition + few) == Request()
    for count in (5000, 2**63):
        with pytest.raises(EnvelopeError, match="too many values"):
            decode_request(definition + framed(64, b"\x02" + number(count) + b"\x00" * 5000 + b"\x00"))


@given(st.binary(max_size=300))
def test_any_bytes_raise_nothing_else(frame: bytes) -> None:
    for decode in (decode_request, decode_response):
        with contextlib.suppress(EnvelopeError):
            decode(frame)


@given(
    st.sampled_from([PRIMER_REQUEST, *OTHERS.values()]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 500),
)
def test_damaged_frames_raise_nothing_else(frame: bytes, changes: list[tuple[int, int]], cut: int) -> None:
    damaged = bytearray(frame)
    for place, byte in changes:
        damaged[place % len(damaged)] = byte
    for piece in (bytes(damaged), bytes(damaged[:cut])):
        for decode in (decode_request, decode_response):
            with contextlib.suppress(EnvelopeError):
                decode(piece)
