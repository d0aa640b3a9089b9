"""The errors that clients get, each with a stable code.

GreenroomError                 500  ServerInternalError
├── ArgsError                  1001 ArgsError
├── NoPermission               1002 NoPermissionError
├── RecordNotFound             1004 RecordNotFoundError
├── UserNotFound               1101 UserIDNotFoundError
├── UserExists                 1102 RegisteredAlreadyError
├── GroupNotFound              1201 GroupIDNotFoundError
├── GroupExists                1202 GroupIDExisted
├── NotInGroup                 1203 NotInGroupYetError
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
├── StoreFailed               90002 DatabaseError, retryable
├── WatchedUsersFull           1001 ArgsError
├── ConnectionsFull            1601 ConnOverMaxNumLimit, retryable
├── ArgsMissing                1602 args err, need token, sendID, platformID
├── ActorCrashed                500 ServerInternalError, retryable
├── ActorAbsent                 500 ServerInternalError, retryable
├── AskTimeout                  500 ServerInternalError, retryable
├── MailboxFull                 500 ServerInternalError, retryable
├── NodeBusy                    500 ServerInternalError, retryable
├── TooManyRequests             500 ServerInternalError, retryable
└── Quarantined                 500 ServerInternalError, retryable
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
    "NotInGroup",
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
    "TooManyRequests",
    "UserExists",
    "UserNotFound",
    "WatchedUsersFull",
]


class GreenroomError(Exception):
    """The base class of all errors. A subclass stands for one failure and sets the class attributes; an instance may
    add a detail."""

    code: ClassVar[int] = 500
    """OpenIM's numeric error code."""
    name: ClassVar[str] = "ServerInternalError"
    """OpenIM's errMsg."""
    retryable: ClassVar[bool] = False
    """Whether the same request may succeed when it is sent again unchanged."""

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail or self.name)
        self.detail = detail
        """OpenIM's errDlt, for developers. It never contains message content."""


class ActorCrashed(GreenroomError):
    """The actor crashed with an exception while it handled the request."""

    retryable = True


class ActorAbsent(GreenroomError):
    """There is no actor at the address, and none can be woken there."""

    retryable = True


class AskTimeout(GreenroomError):
    """An `ask` was not answered in time. The request may still be carried out."""

    retryable = True


class MailboxFull(GreenroomError):
    """The actor has too many stashed or pending messages. This one was dropped."""

    retryable = True


class NodeBusy(GreenroomError):
    """The node is overloaded. The request was not started."""

    retryable = True

    def __init__(self, detail: str = "the node is overloaded") -> None:
        super().__init__(detail)


class TooManyRequests(GreenroomError):
    """The user, or the address, makes more requests than the node's limits allow. The request was not started."""

    retryable = True

    def __init__(self, detail: str = "", *, retry_after_s: float = 1.0) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s
        """When the same request would be admitted, if there is no other one until then."""


class Quarantined(GreenroomError):
    """The entity crashed repeatedly. It is not woken until its quarantine is over."""

    retryable = True


class ArgsError(GreenroomError):
    """The request breaks a rule of its form."""

    code = 1001
    name = "ArgsError"


class NoPermission(GreenroomError):
    """The caller may not do this."""

    code = 1002
    name = "NoPermissionError"


class RecordNotFound(GreenroomError):
    """A thing that the request names does not exist."""

    code = 1004
    name = "RecordNotFoundError"


class UserNotFound(GreenroomError):
    """A user id in the request is not registered, or is not a member."""

    code = 1101
    name = "UserIDNotFoundError"


class UserExists(GreenroomError):
    """One of the user ids is already registered."""

    code = 1102
    name = "RegisteredAlreadyError"


class GroupNotFound(GreenroomError):
    """There is no such group."""

    code = 1201
    name = "GroupIDNotFoundError"


class GroupExists(GreenroomError):
    """The group id is already taken."""

    code = 1202
    name = "GroupIDExisted"


class NotInGroup(GreenroomError):
    """The user in whose name an admin acts is not a member of the group."""

    code = 1203
    name = "NotInGroupYetError"


class GroupDismissed(GreenroomError):
    """The group was dismissed."""

    code = 1204
    name = "DismissedAlreadyError"


class BlockedByPeer(GreenroomError):
    """The receiver has the sender on their blacklist."""

    code = 1302
    name = "BlockedByPeer"


class NotPeersFriend(GreenroomError):
    """The sender is not among the receiver's friends, and the node requires it (`message.friend_verify`)."""

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
    """The token has expired."""

    code = 1501
    name = "TokenExpiredError"


class TokenInvalid(GreenroomError):
    """The token belongs to another user or platform than the request says."""

    code = 1502
    name = "TokenInvalidError"


class TokenMalformed(GreenroomError):
    """The token is not a JWT."""

    code = 1503
    name = "TokenMalformedError"


class TokenNotValidYet(GreenroomError):
    """The token is not valid yet."""

    code = 1504
    name = "TokenNotValidYetError"


class TokenUnknown(GreenroomError):
    """This node did not issue the token: its signature or its claims are wrong."""

    code = 1505
    name = "TokenUnknownError"


class TokenKicked(GreenroomError):
    """Another login or an admin has invalidated the token."""

    code = 1506
    name = "TokenKickedError"


class TokenNotExist(GreenroomError):
    """The user has no such token."""

    code = 1507
    name = "TokenNotExistError"


class StoreFailed(GreenroomError):
    """The store failed, or did not answer in time. A write may still have been stored."""

    code = 90002
    name = "DatabaseError"
    retryable = True


class ArgsMissing(GreenroomError):
    """Parameters of a connection request are missing or wrong."""

    code = 1602
    name = "args err, need token, sendID, platformID"


class ConnectionsFull(GreenroomError):
    """The gateway has reached its limit of connections."""

    code = 1601
    name = "ConnOverMaxNumLimit"
    retryable = True


class WatchedUsersFull(GreenroomError):
    """The connection would watch more users than it may."""

    code = 1001
    name = "ArgsError"


def as_refusal(error: BaseException) -> GreenroomError:
    """The error that a client gets: the refusal itself, StoreFailed for an error of the store, or GreenroomError."""
    if isinstance(error, GreenroomError):
        return error
    if isinstance(error, StoreDamaged):
        return StoreFailed("the requested data is damaged in the store")
    return StoreFailed("the store cannot be read") if isinstance(error, StoreError) else GreenroomError()
