"""Who is kicked by a new connection, and which tokens by a new one (PROTOCOL 1.8, 8.3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.actors.rules.platforms import NAMES, kicked_by_login, kicked_by_token
from greenroom.actors.wire.vocabulary import LoginPolicy, Platform

POLICIES = [LoginPolicy.NO_KICK, LoginPolicy.ONE_PER_PLATFORM, LoginPolicy.ONE_A_CLASS, LoginPolicy.PC_AND_OTHER]
policies, platforms = st.sampled_from(POLICIES), st.sampled_from(list(Platform.ALL))


def numbered(found: list[int]) -> list[tuple[int, int]]:
    return [(platform, number) for number, platform in enumerate(found)]


def test_every_platform_has_a_name() -> None:
    assert set(NAMES) == set(Platform.ALL)


@pytest.mark.parametrize(
    ("policy", "platform", "kicked"),
    [(0, 5, []), (1, 5, ["web"]), (4, 1, ["ios", "android"]), (4, 3, ["pc"]), (4, 5, ["web"]), (4, 8, ["pad"]),
     (5, 3, []), (5, 1, ["ios", "android", "web", "pad"]), (9, 5, [])],
)  # fmt: skip
def test_login_policies(policy: int, platform: int, kicked: list[str]) -> None:
    others = [(1, "ios"), (2, "android"), (3, "pc"), (5, "web"), (9, "pad")]
    assert kicked_by_login(policy, platform, others) == kicked


@pytest.mark.parametrize(
    ("policy", "platform", "kicked"),
    [(0, 5, ["w1"]), (1, 5, ["i1", "w1", "w2"]), (1, 2, ["i1", "w1", "an"]), (4, 2, ["w1", "i1", "i2", "an"]),
     (5, 1, ["w1", "i1", "an", "i2", "w2"]), (5, 3, ["w1", "i1", "i2", "w2"]), (9, 5, [])],
)  # fmt: skip
def test_token_policies(policy: int, platform: int, kicked: list[str]) -> None:
    tokens = [(10, "admin"), (5, "w1"), (1, "i1"), (2, "an"), (3, "pc"), (1, "i2"), (5, "w2")]
    assert sorted(kicked_by_token(policy, platform, tokens, limit=2)) == sorted(kicked)


def test_new_pc_keeps_the_newest_phone_when_there_is_no_android() -> None:
    tokens = [(1, "old"), (9, "pad"), (1, "new"), (3, "pc")]
    assert kicked_by_token(LoginPolicy.PC_AND_OTHER, Platform.WINDOWS, tokens, limit=2) == ["old", "pad"]
    assert kicked_by_token(LoginPolicy.PC_AND_OTHER, Platform.WINDOWS, [(3, "pc")], limit=2) == []


@given(policies, platforms, st.lists(platforms))
def test_login_kicks_some_of_the_others_once(policy: int, platform: int, found: list[int]) -> None:
    kicked = kicked_by_login(policy, platform, numbered(found))
    assert kicked == sorted(set(kicked))
    if policy == LoginPolicy.ONE_PER_PLATFORM:
        assert [found[one] for one in kicked] == [one for one in found if one == platform]


@given(policies, platforms, st.lists(platforms), st.integers(1, 3))
def test_token_policies_hold_what_they_promise(policy: int, platform: int, found: list[int], limit: int) -> None:
    kicked = kicked_by_token(policy, platform, numbered(found), limit=limit)
    left = [one for number, one in enumerate(found) if number not in kicked] + [platform]
    assert len(kicked) == len(set(kicked))
    assert all(found[one] != Platform.ADMIN for one in kicked)
    ordinary = [one for one in left if one != Platform.ADMIN]
    if policy == LoginPolicy.NO_KICK and platform != Platform.ADMIN:
        assert ordinary.count(platform) <= limit
    if policy == LoginPolicy.ONE_PER_PLATFORM:
        assert len(ordinary) == len(set(ordinary))
