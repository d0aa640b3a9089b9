"""Reads of users: profiles, tokens, and the facts about a pair for the checks of a send."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from greenroom.persistence.sqlite.layout import rows_of, select
from greenroom.persistence.sqlite.read import Reads, json_list, read
from greenroom.persistence.sqlite.schema import LAST_REGISTERED
from greenroom.persistence.store import PairFact
from greenroom.persistence.tables import TokenRow, UserRow

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["UserReads"]

FACTS_SHARED: Final = 256
"""Number of shared facts: facts that are equal for many pairs are one object."""

_USER: Final = select(UserRow, "u")
_TOKEN: Final = select(TokenRow, "t", user_id="?1")


class UserReads(Reads):
    @read("users")
    def users(self, user_ids: Sequence[str]) -> list[UserRow]:
        rows = self._db.execute(
            f"SELECT {_USER} FROM json_each(?) j CROSS JOIN user u ON u.user_id = j.value"
            " WHERE u.registered IS NOT NULL ORDER BY j.key",
            (json_list(user_ids),),
        )
        return rows_of(UserRow, rows.fetchall())

    @read("users from")
    def users_page(self, offset: int, limit: int) -> tuple[int, list[UserRow]]:
        # Users are never removed, so `registered` has no gaps.
        rows = self._db.execute(
            f"SELECT ({LAST_REGISTERED}), {_USER} FROM (SELECT 1)"
            " LEFT JOIN user u ON u.registered > ? AND u.registered <= ? ORDER BY u.registered",
            (max(offset, 0), max(offset, 0) + max(limit, 0)),
        ).fetchall()
        return rows[0][0] or 0, rows_of(UserRow, [row[1:] for row in rows if row[1] is not None])

    @read("tokens of")
    def tokens(self, user_id: str) -> list[TokenRow]:
        rows = self._db.execute(
            f"SELECT {_TOKEN} FROM token t WHERE t.user = (SELECT id FROM user WHERE user_id = ?1) ORDER BY t.id",
            (user_id,),
        )
        return rows_of(TokenRow, rows.fetchall())

    @read("pair")
    def pair_facts(self, first: str, second: str) -> dict[str, PairFact]:
        facts = {user_id: PairFact(False, 0, 0, 0, False, False) for user_id in (first, second)}
        conversation_id = "si_" + "_".join(sorted((first, second)))
        rows = self._db.execute(
            "SELECT u.user_id, u.app_manger_level, u.global_recv_msg_opt, r.recv_msg_opt,"
            " EXISTS (SELECT 1 FROM black b WHERE b.owner = u.id AND b.blocked = p.id),"
            " EXISTS (SELECT 1 FROM friend f WHERE f.owner = u.id AND f.friend = p.id)"
            " FROM user u LEFT JOIN user p ON p.user_id = iif(u.user_id = ?1, ?2, ?1)"
            " LEFT JOIN record r ON r.owner = u.id AND r.peer = p.id AND r.conversation ="
            " (SELECT id FROM conversation WHERE conversation_id = ?3)"
            " WHERE u.user_id IN (?1, ?2) AND u.registered IS NOT NULL",
            (first, second, conversation_id),
        )
        for row in rows.fetchall():
            facts[row[0]] = _fact(row[1], row[2], row[3] or 0, bool(row[4]), bool(row[5]))
        return facts


@lru_cache(FACTS_SHARED)
def _fact(level: int, global_opt: int, opt: int, blocks: bool, is_friend: bool) -> PairFact:
    return PairFact(True, level, global_opt, opt, blocks, is_friend)
