"""What a frame of the gateway says, whatever its envelope: a request, a response, or nothing sensible.

EnvelopeError            not an envelope, or one that breaks a bound
└── FrameTooLarge        unfolds to more bytes than allowed
"""

from __future__ import annotations

from typing import Annotated

import msgspec

__all__ = ["EnvelopeError", "FrameTooLarge", "Request", "Response"]


class EnvelopeError(ValueError):
    """A frame that is no envelope of its kind. Says what is wrong, never what the frame held."""


class FrameTooLarge(EnvelopeError):
    """A compressed frame that would unfold past its limit; it was not unfolded further."""


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


class Request(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename=_JSON_KEYS):
    """What a client asks. `data` is protobuf, of the class that `req_identifier` names."""

    req_identifier: _Int32 = 0
    token: str = ""
    send_id: str = ""
    operation_id: str = ""
    msg_incr: str = ""
    data: bytes = b""


class Response(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename=_JSON_KEYS):
    """What a server answers or pushes.

    `data` None and b"" differ in JSON only (`null` and `""`); gob carries neither, and gives back None.
    """

    req_identifier: _Int64 = 0
    msg_incr: str = ""
    operation_id: str = ""
    err_code: _Int64 = 0
    err_msg: str = ""
    data: bytes | None = None
