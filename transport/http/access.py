"""Who may call a route: the `who` column of the table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from greenroom.actors.errors import NoPermission

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from greenroom.actors.messages import Caller

__all__ = ["ADMIN", "ANYONE", "TOKEN", "Who", "owner", "owner_if_named"]


@dataclass(frozen=True, slots=True)
class Who:
    """The token that a route needs: `anyone` none, `token` any valid one, `owner` that of a user named in the request
    or of an admin, `admin` that of a configured admin. Membership and roles in a group are checked elsewhere."""

    kind: Literal["anyone", "token", "owner", "admin"]
    fields: tuple[str, ...] = ()
    """For `owner`: the fields that name users, with dots if nested. The caller must be one of these users."""
    may_be_empty: bool = False
    """For `owner`: if the field is empty, every user may call."""

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
