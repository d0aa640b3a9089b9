"""Scenarios as files: what is read, what is refused, and who takes part."""

from __future__ import annotations

import random

import pytest

from greenroom.transport.load.capacity import CapacitySearch
from greenroom.transport.load.population import Population
from greenroom.transport.load.scenario import Churn, Direct, Group, ScenarioError, parse, shipped, with_values

SMALL = '[[step]]\nkind = "direct"\n[[step]]\nkind = "group"\nname = "teams"\ngroups = 3\nmembers = 4\n'


@pytest.mark.parametrize("name", shipped())
def test_shipped_scenario_is_read(name: str) -> None:
    scenario = parse(shipped()[name], source=name)
    assert scenario.title
    assert Population(scenario, tag="x").devices


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
    assert isinstance(direct, Direct)
    assert isinstance(teams, Group)
    assert (scenario.users, direct.weight, teams.groups, scenario.pace.mode) == (12, 2.5, 2, "closed")


def test_types_are_kept() -> None:
    with pytest.raises(ScenarioError, match="Expected `int`, got `float`"):
        with_values(SMALL, {"users": "1.5"}, source="x")
    with pytest.raises(ScenarioError, match="Expected `bool`"):
        with_values(SMALL, {"direct.stored": "1"}, source="x")
    with pytest.raises(ScenarioError, match="Invalid enum value 'slow'"):
        with_values(SMALL, {"pace.mode": "slow"}, source="x")


def test_step_by_a_name_that_is_wrong() -> None:
    with pytest.raises(ScenarioError, match="there is no step or section 'team'; did you mean 'teams'"):
        with_values(SMALL, {"team.groups": "2"}, source="x")


def test_population() -> None:
    scenario = parse(f"users = 10\n{SMALL}", source="x")
    people = Population(scenario, tag="t")
    assert people.members["si_loadtu0_loadtu1"] == (0, 1)
    assert people.members["sg_loadtg1x0"] == (0, 1, 2, 3)
    assert people.members["sg_loadtg1x2"] == (0, 1, 8, 9)
    assert people.of_user[9] == ["si_loadtu8_loadtu9", "sg_loadtg1x2"]
    target = people.target(0, 3, random.Random(1))
    assert target is not None
    assert (target.recv_id, target.conversation_id) == ("loadtu2", "si_loadtu2_loadtu3")


def test_odd_user_has_nobody_to_write_to() -> None:
    people = Population(parse('users = 3\n[[step]]\nkind = "direct"', source="x"), tag="t")
    assert people.target(0, 2, random.Random(1)) is None


def test_direct_conversation_is_sorted_by_bytes() -> None:
    people = Population(parse('users = 12\n[[step]]\nkind = "direct"', source="x"), tag="t")
    assert "si_loadtu10_loadtu11" in people.members
    target = people.target(0, 8, random.Random(1))
    assert target is not None
    assert target.conversation_id in people.members


def test_capacity_search_finds_the_edge() -> None:
    search = CapacitySearch(start_per_s=100, precision=0.05, trials=30)
    while search.rate:
        search.took(search.rate <= 1234)
    assert 1234 * 0.94 <= search.held <= 1234 < search.failed <= 1234 / 0.94


def test_capacity_below_the_start() -> None:
    search = CapacitySearch(start_per_s=100, precision=0.05, trials=30)
    while search.rate:
        search.took(search.rate <= 7)
    assert 6 < search.held <= 7


def test_capacity_of_nothing_and_of_everything_ends() -> None:
    for holds in (True, False):
        search = CapacitySearch(start_per_s=100, trials=10)
        while search.rate:
            search.took(holds)
        assert (search.held > 0) is holds


def test_churn_resends_by_default() -> None:
    churn = parse(shipped()["churn"], source="churn").step[0]
    assert isinstance(churn, Churn)
    assert churn.resend
