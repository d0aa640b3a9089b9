"""The protocol's numbers and names, each once (PROTOCOL 1 to 4, 6, 8).

A name is OpenIM's own if OpenIM has one. The error codes are in `greenroom.actors.errors`, with the errors.
"""

from __future__ import annotations

from typing import Final

__all__ = [
    "CHAT_PREFIXES", "MAX_FRAME_BYTES", "NOTIFICATION_PREFIX", "AccountStatus", "AppLevel", "ChangeState",
    "ContentType", "GroupStatus", "GroupType", "GroupVerification", "JoinSource", "LoginPolicy", "MessageFrom",
    "MessageStatus", "Platform", "PullOrder", "ReceiveOption", "RequestId", "Role", "SessionType", "TokenState",
]  # fmt: skip


MAX_FRAME_BYTES: Final = 51_200
"""Bytes of the largest frame that a gateway accepts from a client, compressed, unless its settings say otherwise."""


class RequestId:
    """The request or push of a WebSocket frame (PROTOCOL 1.5)."""

    NEWEST_SEQS: Final = 1001
    PULL_BY_RANGE: Final = 1002
    SEND_MESSAGE: Final = 1003
    SEND_SIGNAL: Final = 1004
    PULL_BY_SEQS: Final = 1005
    SEQ_STATES: Final = 1006
    LAST_MESSAGES: Final = 1007
    PUSH: Final = 2001
    KICK: Final = 2002
    LOGOUT: Final = 2003
    SET_BACKGROUND: Final = 2004
    PRESENCE: Final = 2005


class SessionType:
    """The kind of chat that a message belongs to (PROTOCOL 3.1)."""

    SINGLE: Final = 1
    GROUP: Final = 3
    NOTIFICATION: Final = 4


CHAT_PREFIXES: Final = {SessionType.SINGLE: "si_", SessionType.GROUP: "sg_", SessionType.NOTIFICATION: "sn_"}
"""The prefix of a visible chat's id, by session type."""
NOTIFICATION_PREFIX: Final = "n_"
"""The prefix of a notification conversation's id."""


class ContentType:
    """The kind of a message's content (PROTOCOL 3.3, 4.2). Notifications have numbers from 1000 to 5000."""

    TEXT: Final = 101
    PICTURE: Final = 102
    VOICE: Final = 103
    VIDEO: Final = 104
    FILE: Final = 105
    AT_TEXT: Final = 106
    CUSTOM: Final = 110
    REVOKE: Final = 111
    TYPING: Final = 113
    QUOTE: Final = 114
    MARKDOWN: Final = 118
    OA_NOTIFICATION: Final = 1400
    CONVERSATION_CHANGED: Final = 1300
    USER_INFO_UPDATED: Final = 1303
    GROUP_CREATED: Final = 1501
    MEMBER_QUIT: Final = 1504
    MEMBERS_KICKED: Final = 1508
    MEMBERS_INVITED: Final = 1509
    GROUP_DISMISSED: Final = 1511
    MEMBER_MUTED: Final = 1512
    MEMBER_UNMUTED: Final = 1513
    GROUP_MUTED: Final = 1514
    GROUP_UNMUTED: Final = 1515
    MEMBER_INFO_SET: Final = 1516
    ANNOUNCEMENT_SET: Final = 1519
    HAS_READ: Final = 2200


class MessageFrom:
    """Who wrote a message (`msgFrom`)."""

    USER: Final = 100
    SYSTEM: Final = 200


class MessageStatus:
    """`status` of a message. At DELETED or above, its seq has no message to show."""

    SENDING: Final = 1
    SENT: Final = 2
    DELETED: Final = 4


class PullOrder:
    ASCENDING: Final = 0
    DESCENDING: Final = 1


class Platform:
    """`platformID` (PROTOCOL 1.8). 1 to 11 may connect; 0 is not a platform."""

    IOS: Final = 1
    ANDROID: Final = 2
    WINDOWS: Final = 3
    OSX: Final = 4
    WEB: Final = 5
    MINI_WEB: Final = 6
    LINUX: Final = 7
    ANDROID_PAD: Final = 8
    IPAD: Final = 9
    ADMIN: Final = 10
    HARMONY_OS: Final = 11
    ALL: Final = range(1, 12)


class LoginPolicy:
    """`multi_login_policy`: which connections and tokens a new login ends (PROTOCOL 8.3, 8.5)."""

    NO_KICK: Final = 0
    ONE_PER_PLATFORM: Final = 1
    ONE_A_CLASS: Final = 4
    PC_AND_OTHER: Final = 5


class TokenState:
    NORMAL: Final = 0
    KICKED: Final = 2


class AccountStatus:
    """`accountStatus` in the answer to `account_check`. Older servers send a text instead."""

    REGISTERED: Final = 1
    REGISTERED_TEXT: Final = "registered"


class AppLevel:
    """`appMangerLevel` of a user."""

    ADMIN: Final = 2
    """From this level up, blacklists and friendship are not checked."""
    NOTIFICATION_ACCOUNT: Final = 3
    """From this level up, the account belongs to the server itself and gets no token."""


class ReceiveOption:
    """`recvMsgOpt` of a conversation, `globalRecvMsgOpt` of a user (PROTOCOL 3.5)."""

    RECEIVE: Final = 0
    DO_NOT_RECEIVE: Final = 1
    NO_OFFLINE_PUSH: Final = 2


class Role:
    """`roleLevel` of a group member (PROTOCOL 6.1)."""

    ORDINARY: Final = 20
    ADMIN: Final = 60
    OWNER: Final = 100


class GroupStatus:
    NORMAL: Final = 0
    DISMISSED: Final = 2
    MUTED: Final = 3


class GroupType:
    WORKING: Final = 2


class GroupVerification:
    """`needVerification`: whether users may join without an approval."""

    APPLICANTS_NEED_APPROVAL: Final = 0
    ALL_NEED_APPROVAL: Final = 1
    NOBODY_NEEDS_APPROVAL: Final = 2


class JoinSource:
    INVITATION: Final = 2


class ChangeState:
    """What happened to an entry of a version log (PROTOCOL 5.9)."""

    INSERT: Final = 1
    DELETE: Final = 2
    UPDATE: Final = 3
