"""OpenIM's part of the handshake: the parameters of a connect, in both of their forms, and the answers to a connect.

Pure functions. They log nothing, because a URL contains a token.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import msgspec

from greenroom.actors.errors import ArgsMissing, GreenroomError
from greenroom.actors.wire.vocabulary import Platform

if TYPE_CHECKING:
    from greenroom.actors.errors import TooManyRequests

__all__ = [
    "ACCEPTED", "BAD_REQUEST", "ConnectParameters", "parse_parameters", "refusal_json", "refusal_response",
    "too_many_response",
]  # fmt: skip

TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
BASE64URL = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
QUERY_FIELDS_LIMIT = 64


class ConnectParameters(msgspec.Struct, frozen=True):
    """The parameters that a client sends when it connects."""

    user_id: str
    token: str
    platform_id: int
    operation_id: str
    is_background: bool
    compression: str
    """`gzip`; any other value means no compression."""
    sdk_type: str
    """`go` or `js`."""
    is_msg_resp: bool
    """Whether the client expects the outcome in a first TEXT frame."""

    def __repr__(self) -> str:
        return f"ConnectParameters(platform_id={self.platform_id}, sdk_type={self.sdk_type!r})"


class _Packed(msgspec.Struct):
    """The second form of the parameters: JSON in the parameter `v`."""

    token: str = ""
    userID: str = ""
    platformID: int = 0
    operationID: str = ""
    compression: str = ""
    sdkType: str = ""
    sendResponse: bool = False
    background: bool = False


def parse_parameters(target: str, compression_header: str = "") -> ConnectParameters:
    """Read the parameters from a request's target.

    Raises the first failure in the protocol's order: ArgsMissing (1602), or GreenroomError (500) if `isBackground`
    is not a bool.
    """
    query = _parse_query(target.partition("?")[2])
    parameters = _unpack(packed) if (packed := query.get("v")) else _from_query(query, compression_header)
    if not parameters.operation_id:
        raise ArgsMissing("operationID is empty")
    if not parameters.token:
        raise ArgsMissing("token is empty")
    if not parameters.user_id:
        raise ArgsMissing("sendID is empty")
    if parameters.platform_id not in Platform.ALL:
        raise ArgsMissing("platformID is invalid")
    if parameters.sdk_type not in ("go", "js"):
        raise ArgsMissing("sdkType is invalid")
    return parameters


def _parse_query(text: str) -> dict[str, str]:
    """The parameters by name. Of a repeated name, the first value counts. Raises ArgsMissing if there are too many."""
    query: dict[str, str] = {}
    pairs = text.split("&", QUERY_FIELDS_LIMIT)
    if len(pairs) > QUERY_FIELDS_LIMIT:
        raise ArgsMissing("too many parameters")
    for pair in pairs:
        name, _, value = pair.partition("=")
        if "%" in pair or "+" in pair:
            name, value = unquote_plus(name), unquote_plus(value)
        query.setdefault(name, value)
    return query


def _unpack(value: str) -> ConnectParameters:
    if not BASE64URL.fullmatch(value):
        raise ArgsMissing("v is not base64")
    try:
        data = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except binascii.Error:
        raise ArgsMissing("v is not base64") from None
    try:
        packed = msgspec.json.decode(data, type=_Packed)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ArgsMissing("v is not valid JSON") from None
    return ConnectParameters(
        user_id=packed.userID,
        token=packed.token,
        platform_id=packed.platformID,
        operation_id=packed.operationID,
        is_background=packed.background,
        compression=packed.compression,
        sdk_type=packed.sdkType or "go",
        is_msg_resp=packed.sendResponse,
    )


def _from_query(query: dict[str, str], compression_header: str) -> ConnectParameters:
    platform_id = query.get("platformID", "")
    if not INTEGER.fullmatch(platform_id):
        raise ArgsMissing("platformID is not int")
    is_msg_resp = _parse_bool(query.get("isMsgResp") or "false")
    if is_msg_resp is None:
        raise ArgsMissing("isMsgResp is not bool")
    # Upstream refuses a connect without `isBackground`. Here a client that omits it is in the foreground.
    is_background = _parse_bool(query.get("isBackground", "false"))
    if is_background is None:
        raise GreenroomError("isBackground is not bool")
    return ConnectParameters(
        user_id=query.get("sendID", ""),
        token=query.get("token", ""),
        platform_id=int(platform_id),
        operation_id=query.get("operationID", ""),
        is_background=is_background,
        compression=query.get("compression") or compression_header,
        sdk_type=query.get("sdkType") or "go",
        is_msg_resp=is_msg_resp,
    )


def _parse_bool(text: str) -> bool | None:
    """Read a bool as Go's strconv.ParseBool does. None if that fails."""
    return True if text in TRUE else False if text in FALSE else None


def refusal_json(error: GreenroomError) -> bytes:
    """The outcome of a refused connect, as JSON."""
    return msgspec.json.encode({"errCode": error.code, "errMsg": error.name, "errDlt": error.detail})


ACCEPTED = b'{"errCode":0,"errMsg":"","errDlt":""}'
"""The outcome of an accepted connect, as JSON."""


def refusal_response(error: GreenroomError) -> bytes:
    """The whole HTTP response to a refused connect. Its status is 200, as the clients expect."""
    body = refusal_json(error)
    return (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )


def too_many_response(error: TooManyRequests) -> bytes:
    """The whole HTTP response to bytes that are no request, from an address that has sent too many."""
    return (
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: %d\r\n"
        b"Connection: close\r\nContent-Length: 0\r\n\r\n" % math.ceil(error.retry_after_s)
    )


BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Sec-WebSocket-Version: 13\r\nConnection: close\r\nContent-Length: 12\r\n\r\nBad Request\n"
)
"""The whole HTTP response to a request that does not ask for WebSocket."""
