"""Everything that can be refused or go wrong, as data with a stable code.

GreenroomError                 500  ServerInternalError
├── ActorCrashed               500  ServerInternalError  retryable
├── ActorAbsent                500  ServerInternalError  retryable
├── AskTimeout                 500  ServerInternalError  retryable
├── MailboxFull                500  ServerInternalError  retryable
├── Quarantined                500  ServerInternalError  retryable
├── ArgsError                 1001  ArgsError
├── NoPermission              1002  NoPermissionError
├── RecordNotFound            1004  RecordNotFoundError
├── UserIDNotFound            1101  UserIDNotFoundError
├── GroupIDNotFound           1201  GroupIDNotFoundError
├── GroupIDExisted            1202  GroupIDExisted
└── DismissedAlready          1204  DismissedAlreadyError
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "ActorAbsent",
    "ActorCrashed",
    "ArgsError",
    "AskTimeout",
    "DismissedAlready",
    "GreenroomError",
    "GroupIDExisted",
    "GroupIDNotFound",
    "MailboxFull",
    "NoPermission",
    "Quarantined",
    "RecordNotFound",
    "UserIDNotFound",
]


class GreenroomError(Exception):
    """The root of the tree. Subclasses name a state and set the class attributes; instances add a detail."""

    code: ClassVar[int] = 500
    """OpenIM's numeric error code."""
    name: ClassVar[str] = "ServerInternalError"
    """OpenIM's errMsg."""
    retryable: ClassVar[bool] = False
    """Whether the same request may succeed when it is sent again, unchanged."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.name)
        self.detail = detail
        """OpenIM's errDlt: what a developer reads. Never holds message content."""


class ActorCrashed(GreenroomError):
    """The actor that handled the request failed with an exception, and its life has ended."""

    retryable = True


class ActorAbsent(GreenroomError):
    """No actor lives at the address that was asked, and none wakes there."""

    retryable = True


class AskTimeout(GreenroomError):
    """No answer came within the time of an `ask`. The request may still be carried out."""

    retryable = True


class MailboxFull(GreenroomError):
    """The actor sets too many messages aside already; this one was not kept."""

    retryable = True


class Quarantined(GreenroomError):
    """The entity crashed repeatedly; it is not woken until its back-off has passed."""

    retryable = True


class ArgsError(GreenroomError):
    """The request itself is wrong, whoever sends it and whenever."""

    code = 1001
    name = "ArgsError"


class NoPermission(GreenroomError):
    """The caller may not do this."""

    code = 1002
    name = "NoPermissionError"


class RecordNotFound(GreenroomError):
    """Something named in the request does not exist."""

    code = 1004
    name = "RecordNotFoundError"


class UserIDNotFound(GreenroomError):
    """A user named in the request is not registered."""

    code = 1101
    name = "UserIDNotFoundError"


class GroupIDNotFound(GreenroomError):
    """A group named in the request does not exist."""

    code = 1201
    name = "GroupIDNotFoundError"


class GroupIDExisted(GreenroomError):
    """The id of a group to be created is taken."""

    code = 1202
    name = "GroupIDExisted"


class DismissedAlready(GreenroomError):
    """The group has been dismissed."""

    code = 1204
    name = "DismissedAlreadyError"
