"""The fields that the content of a message sent over HTTP must have, by content type (PROTOCOL 3.9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenroom.actors.errors import ArgsError, GreenroomError
from greenroom.actors.wire.vocabulary import ContentType
from greenroom.transport.http.free_json import fold

__all__ = ["ContentRefused", "check_content"]

_AT_LIMIT = 1000
_MIX_TYPES = range(6)

_ONE_PICTURE = {"type": str, "width": int, "height": int, "url": str}

_NEEDED: Mapping[int, Mapping[str, Any]] = {
    ContentType.TEXT: {"content": str},
    ContentType.PICTURE: {
        "sourcePicture": _ONE_PICTURE,
        "bigPicture": _ONE_PICTURE,
        "snapshotPicture": _ONE_PICTURE,
    },
    ContentType.VOICE: {"sourceUrl": str, "duration": int},
    ContentType.VIDEO: {
        "videoUrl": str, "videoType": str, "videoSize": int, "duration": int, "snapshotUrl": str,
        "snapshotWidth": int, "snapshotHeight": int,
    },
    ContentType.FILE: {"sourceUrl": str, "fileName": str, "fileSize": int},
    ContentType.AT_TEXT: {"atUserList": list},
    ContentType.CUSTOM: {"data": str},
    ContentType.QUOTE: {},
    ContentType.MARKDOWN: {"content": str},
    ContentType.OA_NOTIFICATION: {"notificationName": str, "notificationType": int, "text": str},
}  # fmt: skip
"""The required fields by content type. They must not be empty or zero, and numbers must not be negative."""


class ContentRefused(GreenroomError):
    """The content lacks a required field (upstream does not map this error, so the code is 500)."""


def check_content(content_type: int, content: dict[str, Any]) -> None:
    """Raises ArgsError for a type that may not be sent this way, ContentRefused."""
    needed = _NEEDED.get(content_type)
    if needed is None:
        raise ArgsError("contentType not supported")
    lower = fold(content)
    _check(lower, needed, "")
    if content_type == ContentType.AT_TEXT:
        users = lower["atuserlist"]
        if len(users) > _AT_LIMIT or not all(isinstance(user_id, str) for user_id in users):
            raise ContentRefused("atUserList must hold 1 to 1000 user ids")
    if content_type == ContentType.OA_NOTIFICATION and lower.get("mixtype", 0) not in _MIX_TYPES:
        raise ContentRefused("mixType is invalid")


def _check(lower: dict[str, Any], needed: Mapping[str, Any], prefix: str) -> None:
    for name, kind in needed.items():
        value = lower.get(name.lower())
        if isinstance(kind, Mapping):
            if not isinstance(value, dict):
                raise ContentRefused(f"{prefix}{name} is missing")
            _check(fold(value), kind, f"{prefix}{name}.")
        elif type(value) is not kind or not value or (kind is int and value < 0):
            raise ContentRefused(f"{prefix}{name} is missing or invalid")
