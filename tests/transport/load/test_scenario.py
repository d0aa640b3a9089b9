"""Scenarios as files: what is read and what is refused."""

from __future__ import annotations

import re

import pytest

from greenroom.transport.load.population import Population
from greenroom.transport.load.scenario import Churn, DirectTalk, GroupTalk, ScenarioError, parse, shipped, with_values

SMALL = '[[step]]\nkind = "direct"\n[[step]]\nkind = "group"\nname = "teams"\ngroups = 3\nmembers = 4\n'


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenario_is_read(name: str) -> None:
    scenario = parse(shipped()[name], source=name)
    assert scenario.title
    assert Population(scenario, tag="x").devices


@pytest.mark.parametrize("users", [2, 3, 30, 2_000])
@pytest.mark.parametrize("name", shipped())
def test_shipped_scenario_scales_with_its_users(name: str, users: int) -> None:
    scenario = with_values(shipped()[name], {"users": str(users)}, source=name)
    population = Population(scenario, tag="x")
    assert len(population.user_ids) == users
    assert all(2 <= len(group.members) <= users for group in population.groups)


def test_groups_fit_fewer_users_unless_they_are_given() -> None:
    churn = with_values(shipped()["churn"], {"users": "30"}, source="x").step[2]
    assert isinstance(churn, GroupTalk)
    assert (churn.groups, churn.members) == (15, 0)
    day = with_values(shipped()["mixed-day"], {"users": "8"}, source="x").step[2]
    assert isinstance(day, GroupTalk)
    assert (day.groups, day.members) == (50, 8)
    for given, problem in (("groups", r"members: 2 to the number of users \(30\)"), ("members", "members: 2 to")):
        with pytest.raises(ScenarioError, match=problem):
            with_values(shipped()["churn"], {"users": "30", f"group.{given}": "40"}, source="x")


def test_issue_names_what_is_shipped() -> None:
    assert set(shipped()) == {
        "one-to-one", "group-burst", "many-small-groups", "login-storm", "idle", "offline-catch-up",
        "slow-readers", "churn", "mixed-day",
    }  # fmt: skip


def test_values_by_kind_and_by_name() -> None:
    scenario = with_values(
        SMALL, {"users": "12", "direct.weight": "2.5", "teams.groups": "2", "pace.mode": "closed"}, source="x"
    )
    direct, teams = scenario.step
    assert isinstance(direct, DirectTalk)
    assert isinstance(teams, GroupTalk)
    assert (scenario.users, direct.weight, teams.groups, scenario.pace.mode) == (12, 2.5, 2, "closed")


def test_types_are_kept() -> None:
    for path, value, problem in (
        ("users", "1.5", "x: users: must be a whole number, not a number"),
        ("users", "many", "x: users: must be a whole number, not a text"),
        ("step", "3", "x: step: must be a list, not a whole number"),
        ("pace", "3", "x: pace: must be a table, not a whole number"),
        ("direct.stored", "1", "x: [[step]] 1 stored: must be true or false, not a whole number"),
        ("teams.groups", "much", "x: [[step]] 2 groups: must be a whole number, not a text"),
        ("pace.mode", "slow", "x: [pace] mode: invalid enum value 'slow'"),
        ("pace.think_s", "[1]", "x: [pace] think_s: expected `array` of length 2, got 1"),
        ("client.platforms", '["web"]', "x: [client] platforms: must be a whole number, not a text"),
    ):
        with pytest.raises(ScenarioError, match=f"^{re.escape(problem)}$"):
            with_values(SMALL, {path: value}, source="x")


def test_text_that_is_no_scenario() -> None:
    with pytest.raises(ScenarioError, match=r"^x: not TOML: Invalid value "):
        parse("users = ", source="x")
    with pytest.raises(ScenarioError, match=r"^x: \[\[step\]\] 1 has no kind: one of direct, .*, storm$"):
        parse("[[step]]\nshare = 1.0", source="x")


def test_step_by_a_name_that_is_wrong() -> None:
    with pytest.raises(ScenarioError, match="there is no step or section 'team'; did you mean 'teams'"):
        with_values(SMALL, {"team.groups": "2"}, source="x")


def test_churn_resends_by_default() -> None:
    churn = parse(shipped()["churn"], source="churn").step[0]
    assert isinstance(churn, Churn)
    assert churn.resend
