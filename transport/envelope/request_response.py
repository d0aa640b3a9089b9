"""The two envelopes, and the errors of a frame that is not an envelope.

EnvelopeError            not an envelope, or one that exceeds a limit
└── FrameTooLarge        decompresses to more bytes than allowed
"""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["EnvelopeError", "FrameTooLarge", "Request", "Response"]


class EnvelopeError(ValueError):
    """A frame is not a valid request (or response). The error says what is wrong, and never quotes the frame."""


class FrameTooLarge(EnvelopeError):
    """A compressed frame decompresses to more than the limit. Decompression stopped there."""


_JSON_KEYS = {
    "req_identifier": "reqIdentifier",
    "send_id": "sendID",
    "operation_id": "operationID",
    "msg_incr": "msgIncr",
    "err_code": "errCode",
    "err_msg": "errMsg",
}
_Int32 = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
_Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=_JSON_KEYS):
    """A client's request. `data` is a protobuf message of the class that `req_identifier` stands for."""

    req_identifier: _Int32 = 0
    token: str = ""
    send_id: str = ""
    operation_id: str = ""
    msg_incr: str = ""
    data: bytes = b""


class Response(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename=_JSON_KEYS):
    """A server's response or push.

    None and b"" as `data` differ in JSON only, where they are `null` and `""`. Gob leaves the
    field out for both, and a missing field is read as None.
    """

    req_identifier: _Int64 = 0
    msg_incr: str = ""
    operation_id: str = ""
    err_code: _Int64 = 0
    err_msg: str = ""
    data: bytes | None = None
