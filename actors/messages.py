"""The messages between actors, on one page. Commands are in the imperative, events in the past tense.

A message goes to an address: `Address("user", user_id)`, `Address("conversation", key)` (two users),
`Address("group", group_id)`, or the address of a connection. Each command is answered once, with `Answer(ref, value)`
or `Failed(ref, error)` (greenroom.actors.runtime.replies). The asker chooses `ref`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from greenroom.actors.runtime.address import Address
from greenroom.actors.wire import group_pb2, sdkws_pb2
from greenroom.persistence.tables import UserRow, Value

__all__ = [
    "Caller", "CancelMuteGroup", "CancelMuteMember", "CloseSession", "Command", "CreateGroup", "DismissGroup",
    "ForceLogout", "InviteMembers", "IssueToken", "IssuedToken", "KickMembers", "KickSession", "MarkConversationRead",
    "MarkMessagesRead", "MemberOnline", "MuteGroup", "MuteMember", "OpenSession", "ProfileChanged", "Push",
    "QuitGroup", "RegisterUsers", "SendMessage", "SetReadSeq", "SetUserInfo", "VerifyToken",
]  # fmt: skip


class Caller(msgspec.Struct, frozen=True):
    """The user on whose behalf a command runs."""

    user_id: str
    platform_id: int
    operation_id: str
    is_admin: bool = False
    """Whether this is a configured admin, who passes every owner check."""


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A request to an entity. Answered once, with Answer or Failed."""

    caller: Caller
    ref: Any = None


class SendMessage(Command, frozen=True):
    """To the Pair or Group of the message's key. Answer: msg_pb2.SendMsgResp, after the commit."""

    message: sdkws_pb2.MsgData


class MarkConversationRead(Command, frozen=True):
    """Mark everything up to has_read_seq, and these seqs, as read (PROTOCOL 7.1, mark_conversation_as_read). To the
    Pair or Group of the key. Answer: None, after the commit."""

    conversation_id: str
    user_id: str
    has_read_seq: int
    seqs: list[int]


class MarkMessagesRead(Command, frozen=True):
    """Mark these messages as read (PROTOCOL 7.1, mark_msgs_as_read). Answer: None, after the commit."""

    conversation_id: str
    user_id: str
    seqs: list[int]


class SetReadSeq(Command, frozen=True):
    """Raise a read seq (PROTOCOL 7.1, set_conversation_has_read_seq). Answer: None, after the commit."""

    conversation_id: str
    user_id: str
    has_read_seq: int


class CreateGroup(Command, frozen=True):
    """To the address of the new group, whose id the sender chooses. Answer: sdkws GroupInfo."""

    request: group_pb2.CreateGroupReq


class InviteMembers(Command, frozen=True):
    user_ids: list[str]
    send_message: bool | None = None
    reason: str = ""


class KickMembers(Command, frozen=True):
    user_ids: list[str]
    send_message: bool | None = None
    reason: str = ""


class QuitGroup(Command, frozen=True):
    user_id: str


class DismissGroup(Command, frozen=True):
    delete_member: bool = False
    send_message: bool | None = None


class MuteMember(Command, frozen=True):
    user_id: str
    muted_seconds: int


class CancelMuteMember(Command, frozen=True):
    user_id: str


class MuteGroup(Command, frozen=True):
    pass


class CancelMuteGroup(Command, frozen=True):
    pass


class RegisterUsers(Command, frozen=True):
    """To the User of the first id. Either all users are registered or none. Answer: None, after the commit."""

    users: list[UserRow]


class SetUserInfo(Command, frozen=True):
    """Change columns of the user's profile (names of UserRow). Answer: None, after the commit."""

    changes: Mapping[str, Value]


class IssueToken(Command, frozen=True):
    """Make a token for one platform, by the login policy. Answer: IssuedToken, after the commit."""

    platform_id: int


class IssuedToken(msgspec.Struct, frozen=True):
    token: str
    expire_time_seconds: int
    """How long the token is valid, in seconds."""


class VerifyToken(Command, frozen=True):
    """Check a parsed token's state (PROTOCOL 8.2, step 2). Answer: None. Failed: TokenKicked, TokenNotExist, ..."""

    platform_id: int
    digest: bytes


class ForceLogout(Command, frozen=True):
    """Kick the connections and tokens of one platform. Answer: None, after the commit."""

    platform_id: int


class OpenSession(Command, frozen=True):
    """From a connection to its User: check the token's state, apply the login policy (kicked connections get
    KickSession), and add the connection to the SessionTable and the groups' audiences. Answer: None; from then on the
    connection gets pushes. Failed: the token's error."""

    digest: bytes
    connection: Address


class CloseSession(msgspec.Struct, frozen=True):
    """To the User of a connection that has closed. No answer."""

    connection: Address


class KickSession(msgspec.Struct, frozen=True):
    """To a connection: write a KICK frame (2002), then close."""


class MemberOnline(msgspec.Struct, frozen=True):
    """From a User to the awake groups of the user: from now on this member gets pushes."""

    user_id: str


class DropMembers(msgspec.Struct, frozen=True):
    """From a dismissed Group to itself: drop the rows of further members. No answer."""

    ref: Any = None


class ProfileChanged(msgspec.Struct, frozen=True):
    """From a User to the groups of the user: this member's nickname or picture has changed. No answer."""

    caller: Caller
    user_id: str
    ref: Any = None


class Push(msgspec.Struct, frozen=True):
    """One message to push to devices (request id 2001). It is encoded once for each kind of envelope."""

    conversation_id: str
    message: bytes
    """sdkws.MsgData, serialized with its seq (0 if it is not stored)."""
    operation_id: str
    """Operation id of the request that caused it."""
