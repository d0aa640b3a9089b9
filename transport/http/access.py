"""Who may call a route: the `who` column of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from greenroom.actors.errors import NoPermission

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from greenroom.actors.messages import Caller

__all__ = ["ADMIN", "ANYONE", "TOKEN", "Kind", "Who", "kind_of", "owner", "owner_if_named"]

Kind = Literal["read", "send", "change", "probe"]

_READS = ("get_", "search_", "find_", "is_")
_OTHER_READS = frozenset({"account_check", "newest_seq", "part_limit", "pull_msg_by_seq", "subscribe_users_status"})
_PROBES = frozenset({"healthz", "readyz"})
_SENDS = frozenset({"mark_conversation_as_read", "mark_msgs_as_read", "send_msg", "set_conversation_has_read_seq"})
"""Clients make these as often as they receive messages."""


def kind_of(path: str) -> Kind:
    """What a call of this route counts as in the limits of its user. By its name: what is not known to be a read or as
    frequent as a message is a change, so that a new row has a limit before anyone thinks of it. A probe never counts,
    not even for an address: if it were refused, the node would be taken out of service."""
    name = path.rpartition("/")[2]
    if name in _PROBES:
        return "probe"
    if name.startswith(_READS) or name in _OTHER_READS:
        return "read"
    return "send" if name in _SENDS else "change"


@dataclass(frozen=True, slots=True)
class Who:
    """The token that a route needs: `anyone` none, `token` any valid one, `owner` that of a user named in the request
    or of an admin, `admin` that of a configured admin. Membership and roles in a group are checked elsewhere."""

    kind: Literal["anyone", "token", "owner", "admin"]
    fields: tuple[str, ...] = ()
    """The fields that name users, with dots if nested. `owner` demands that the caller is one of these users."""
    may_be_empty: bool = False
    """Whether every user may call if the field is empty. Only used by `owner`."""

    def check(self, caller: Caller, request: Any) -> None:
        """Raises NoPermission."""
        if self.kind in ("anyone", "token") or caller.is_admin:
            return
        if self.kind == "admin":
            raise NoPermission("only admins may do this")
        for path in self.fields:
            named = read(request, path)
            if named == caller.user_id or (self.may_be_empty and not named):
                return
        raise NoPermission(f"{' or '.join(self.fields)} is not the caller")

    def describe(self) -> str:
        return f"owner ({' or '.join(self.fields)})" if self.kind == "owner" else self.kind


ANYONE = Who("anyone")
TOKEN = Who("token")
ADMIN = Who("admin")


def owner(*fields: str) -> Who:
    return Who("owner", fields)


def owner_if_named(field: str) -> Who:
    return Who("owner", (field,), may_be_empty=True)


def read(request: Message, path: str) -> Any:
    """The value at a dotted path; an unset message reads as its defaults."""
    value: Any = request
    for name in path.split("."):
        value = getattr(value, name)
    return value
