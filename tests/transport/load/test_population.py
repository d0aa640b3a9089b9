"""Who takes part in a load, and how it is divided among processes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from greenroom.transport.load.population import Population
from greenroom.transport.load.scenario import parse

SMALL = '[[step]]\nkind = "direct"\n[[step]]\nkind = "group"\nname = "teams"\ngroups = 3\nmembers = 4\n'


def test_population() -> None:
    scenario = parse(f"users = 10\n{SMALL}", source="x")
    people = Population(scenario, tag="t")
    assert people.members["si_loadtu0_loadtu1"] == (0, 1)
    assert people.members["sg_loadtg1x0"] == (0, 1, 2, 3)
    assert people.members["sg_loadtg1x2"] == (0, 1, 8, 9)
    assert people.conversations_of[9] == ["si_loadtu8_loadtu9", "sg_loadtg1x2"]
    destination = people.destination(0, 3, random.Random(1))
    assert destination is not None
    assert (destination.recv_id, destination.conversation_id) == ("loadtu2", "si_loadtu2_loadtu3")


def test_odd_user_has_nobody_to_write_to() -> None:
    people = Population(parse('users = 3\n[[step]]\nkind = "direct"', source="x"), tag="t")
    assert people.destination(0, 2, random.Random(1)) is None


def test_direct_conversation_is_sorted_by_bytes() -> None:
    people = Population(parse('users = 12\n[[step]]\nkind = "direct"', source="x"), tag="t")
    assert "si_loadtu10_loadtu11" in people.members
    destination = people.destination(0, 8, random.Random(1))
    assert destination is not None
    assert destination.conversation_id in people.members


@given(st.integers(2, 30), st.integers(1, 5), st.sampled_from(["[5]", "[1, 5]", "[1, 5, 7]"]))
def test_processes_share_all_devices_and_divide_no_pair(users: int, parts: int, platforms: str) -> None:
    text = f'users = {users}\n[client]\nplatforms = {platforms}\n[[step]]\nkind = "direct"'
    people = Population(parse(text, source="x"), tag="t")
    shares = [people.share(part, parts) for part in range(parts)]
    assert [place for share in shares for place in share] == list(range(len(people.devices)))
    for pair in people.members.values():
        places = [place for user in pair for place in people.devices_of(user)]
        assert sum(any(place in share for place in places) for share in shares) == 1


def test_ids_tell_when_a_message_was_planned() -> None:
    people = Population(parse(f"users = 10\n{SMALL}", source="x"), tag="t")
    assert people.planned_ns_of(people.client_msg_id(7, 3, 123456789)) == 123456789
    other = Population(parse(f"users = 10\n{SMALL}", source="x"), tag="u")
    assert people.planned_ns_of(other.client_msg_id(7, 3, 123456789)) == -1
    assert people.planned_ns_of("") == -1
