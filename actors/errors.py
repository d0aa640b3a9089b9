"""Everything that can be refused or go wrong, as data with a stable code.

GreenroomError                 500  ServerInternalError
├── ArgsError                  1001 ArgsError
├── NoPermission               1002 NoPermissionError
├── RecordNotFound             1004 RecordNotFoundError
├── UserNotFound               1101 UserIDNotFoundError
├── UserExists                 1102 RegisteredAlreadyError
├── GroupNotFound              1201 GroupIDNotFoundError
├── GroupExists                1202 GroupIDExisted
├── GroupDismissed             1204 DismissedAlreadyError
├── BlockedByPeer              1302 BlockedByPeer
├── NotPeersFriend             1303 NotPeersFriend
├── MutedInGroup               1402 MutedInGroup
├── MutedGroup                 1403 MutedGroup
├── TokenExpired               1501 TokenExpiredError
├── TokenInvalid               1502 TokenInvalidError
├── TokenMalformed             1503 TokenMalformedError
├── TokenNotValidYet           1504 TokenNotValidYetError
├── TokenUnknown               1505 TokenUnknownError
├── TokenKicked                1506 TokenKickedError
├── TokenNotExist              1507 TokenNotExistError
├── StoreFailed           90002DatabaseError  retryable
├── WatchedUsersFull          1001  ArgsError
├── ConnectionsFull           1601  ConnOverMaxNumLimit  retryable
├── ArgsMissing               1602  args err, need token, sendID, platformID
├── ActorCrashed               500  ServerInternalError  retryable
├── ActorAbsent                500  ServerInternalError  retryable
├── AskTimeout                 500  ServerInternalError  retryable
├── MailboxFull                500  ServerInternalError  retryable
├── NodeBusy                   500  ServerInternalError  retryable
└── Quarantined                500  ServerInternalError  retryable
"""

from __future__ import annotations

from typing import ClassVar

from greenroom.persistence.errors import StoreDamaged, StoreError

__all__ = [
    "ActorAbsent",
    "ActorCrashed",
    "ArgsError",
    "ArgsMissing",
    "AskTimeout",
    "BlockedByPeer",
    "ConnectionsFull",
    "GreenroomError",
    "GroupDismissed",
    "GroupExists",
    "GroupNotFound",
    "MailboxFull",
    "MutedGroup",
    "MutedInGroup",
    "NoPermission",
    "NodeBusy",
    "NotPeersFriend",
    "Quarantined",
    "RecordNotFound",
    "StoreFailed",
    "TokenExpired",
    "TokenInvalid",
    "TokenKicked",
    "TokenMalformed",
    "TokenNotExist",
    "TokenNotValidYet",
    "TokenUnknown",
    "UserExists",
    "UserNotFound",
    "WatchedUsersFull",
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


class NodeBusy(GreenroomError):
    """The node has more to do than it can in time; the request was not begun."""

    retryable = True


class Quarantined(GreenroomError):
    """The entity crashed repeatedly; it is not woken until its back-off has passed."""

    retryable = True


class ArgsError(GreenroomError):
    """A request is not what it must be."""

    code = 1001
    name = "ArgsError"


class NoPermission(GreenroomError):
    """The caller may not do this."""

    code = 1002
    name = "NoPermissionError"


class RecordNotFound(GreenroomError):
    """Something that the request names does not exist."""

    code = 1004
    name = "RecordNotFoundError"


class UserNotFound(GreenroomError):
    """A user id that the request names is not registered, or is no member."""

    code = 1101
    name = "UserIDNotFoundError"


class UserExists(GreenroomError):
    """One of the user ids is registered already."""

    code = 1102
    name = "RegisteredAlreadyError"


class GroupNotFound(GreenroomError):
    """There is no such group."""

    code = 1201
    name = "GroupIDNotFoundError"


class GroupExists(GreenroomError):
    """The group id is taken."""

    code = 1202
    name = "GroupIDExisted"


class GroupDismissed(GreenroomError):
    """The group was dismissed."""

    code = 1204
    name = "DismissedAlreadyError"


class BlockedByPeer(GreenroomError):
    """The receiver has put the sender on his black list."""

    code = 1302
    name = "BlockedByPeer"


class NotPeersFriend(GreenroomError):
    """The receiver does not have the sender as a friend, and the node asks for it."""

    code = 1303
    name = "NotPeersFriend"


class MutedInGroup(GreenroomError):
    """The member is muted."""

    code = 1402
    name = "MutedInGroup"


class MutedGroup(GreenroomError):
    """The whole group is muted."""

    code = 1403
    name = "MutedGroup"


class TokenExpired(GreenroomError):
    """The token's time has passed."""

    code = 1501
    name = "TokenExpiredError"


class TokenInvalid(GreenroomError):
    """The token is not of the user and platform that were named with it."""

    code = 1502
    name = "TokenInvalidError"


class TokenMalformed(GreenroomError):
    """The token is no JWT."""

    code = 1503
    name = "TokenMalformedError"


class TokenNotValidYet(GreenroomError):
    """The token's time has not come."""

    code = 1504
    name = "TokenNotValidYetError"


class TokenUnknown(GreenroomError):
    """The token is not ours: its signature or its claims are wrong."""

    code = 1505
    name = "TokenUnknownError"


class TokenKicked(GreenroomError):
    """The token was made void by another login or by an admin."""

    code = 1506
    name = "TokenKickedError"


class TokenNotExist(GreenroomError):
    """No such token is held for the user."""

    code = 1507
    name = "TokenNotExistError"


class StoreFailed(GreenroomError):
    """The store did not take the write, or not in time; it may have landed all the same."""

    code = 90002
    name = "DatabaseError"
    retryable = True


class ArgsMissing(GreenroomError):
    """The parameters of a connect are missing or make no sense."""

    code = 1602
    name = "args err, need token, sendID, platformID"


class ConnectionsFull(GreenroomError):
    """The gateway holds as many connections as it may."""

    code = 1601
    name = "ConnOverMaxNumLimit"
    retryable = True


class WatchedUsersFull(GreenroomError):
    """The connection watches as many users as it may."""

    code = 1001
    name = "ArgsError"


def as_refusal(error: BaseException) -> GreenroomError:
    """What a client is told: the refusal itself, that the store cannot be read, or that the server failed."""
    if isinstance(error, GreenroomError):
        return error
    if isinstance(error, StoreDamaged):
        return StoreFailed("what was asked for is damaged in the store")
    return StoreFailed("the store cannot be read") if isinstance(error, StoreError) else GreenroomError()
