"""`get_users`: what it finds among many users, and that a search leaves the loop to others."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from greenroom.transport.http import user_search

if TYPE_CHECKING:
    from greenroom.persistence.tables import UserRow
    from greenroom.tests.kit.http_kit import HttpStage

PATH = "/user/get_users"
COUNT = 3_000
COSTLY = "(x?x?){30}y"


@pytest.fixture
async def crowd(http: HttpStage) -> HttpStage:
    await http.engine.register(*(f"user{number:04}" for number in range(COUNT)), nickname="n" * 200)
    return http


def page(number: int = 1, size: int = 10) -> dict[str, int]:
    return {"pageNumber": number, "showNumber": size}


async def found(http: HttpStage, number: int = 1, size: int = 10, **filters: str) -> tuple[int, list[str]]:
    data = await http.data(PATH, {"pagination": page(number, size), **filters})
    return data["total"], [user["userID"] for user in data["users"] or ()]


async def test_pages_of_a_regular_expression(crowd: HttpStage) -> None:
    assert await found(crowd, userID="^USER(00|29)9[1-3]$") == (
        6, ["user0091", "user0092", "user0093", "user2991", "user2992", "user2993"],
    )  # fmt: skip
    assert await found(crowd, 2, 4, userID="^user(00|29)9[1-3]$") == (6, ["user2992", "user2993"])
    assert await found(crowd, 9, 4, userID="^user(00|29)9[1-3]$") == (6, [])
    assert await found(crowd, userID="9999|0007", nickName="^n-u2$") == (2, ["u2", "user0007"])
    assert await found(crowd, 3, 1, userID="29") == (159, ["user0229"])


async def test_what_is_no_regular_expression_is_refused(http: HttpStage) -> None:
    for field in ("userID", "nickName"):
        answer = (await http.post(PATH, {"pagination": page(), field: "["})).json()
        assert (answer["errCode"], answer["errMsg"]) == (1001, "ArgsError")
        assert field in answer["errDlt"]


async def test_costly_search_is_made_in_slices(crowd: HttpStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many costly searches at once: each turn of the loop has one slice of one of them, and each slice is short."""
    sizes: list[int] = []
    turns: list[int] = []
    turn = 0
    whole = user_search.UserSearch._slice

    def counted(self: user_search.UserSearch, users: list[UserRow]) -> object:
        answer = whole(self, users)
        sizes.append(len(users) - len(answer[1]))
        turns.append(turn)
        return answer

    monkeypatch.setattr(user_search.UserSearch, "_slice", counted)
    monkeypatch.setattr(user_search, "_COST_LIMIT_S", 0.1)
    body = {"pagination": page(), "nickName": COSTLY}
    searches = [asyncio.create_task(crowd.post(PATH, body)) for _ in range(4)]
    while not all(one.done() for one in searches):
        turn += 1
        await asyncio.sleep(0)
    assert {(await one).json()["errCode"] for one in searches} <= {0, 1001}
    assert len(set(turns)) == len(turns) > 4
    assert max(sizes) < COUNT / 10


async def test_search_that_costs_too_much_is_refused(crowd: HttpStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_search, "_COST_LIMIT_S", 0.0)
    assert (await crowd.error(PATH, {"pagination": page(), "nickName": COSTLY}))[0] == 1001
    assert (await found(crowd, nickName="nnn"))[0] == COUNT  # A plain text costs next to nothing.
