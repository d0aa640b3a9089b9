"""The judge against the naive one: on runs with accidents, and on events thrown together at random."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from greenroom.tests.kit.fake_server import BUGS, FakeServer, interleaved
from greenroom.tests.kit.naive_judge import Key, naive_judge
from greenroom.transport.load.judge.events import (
    DeviceDrained,
    DeviceStarted,
    Event,
    MarkedRead,
    MemberJoined,
    MemberLeft,
    MessageReceived,
    SendAcked,
    SendFailed,
    SendStarted,
    SeqsAnswered,
    StoredSeen,
    StoreGrowing,
    StorePulled,
)
from greenroom.transport.load.judge.judging import judge

if TYPE_CHECKING:
    from collections.abc import Iterable

FEW = settings(max_examples=40, deadline=None)


def _keys(events: Iterable[Event]) -> set[Key]:
    verdict = judge(events, keep_per_kind=10_000)
    assert sum(verdict.totals.values()) == len(verdict.violations)
    assert verdict.ok == (not verdict.violations)
    return {
        (one.kind, one.conversation_id, one.device, one.user_id, one.seq, one.client_msg_id)
        for one in verdict.violations
    }


def _accident(events: list[Any], random: Random) -> None:
    """One change anywhere: an event lost, repeated, moved, or with a field of another."""
    at = random.randrange(len(events))
    match random.randrange(5):
        case 0:
            del events[at]
        case 1:
            events.insert(random.randrange(len(events)), events[at])
        case 2:
            events.insert(random.randrange(len(events)), events.pop(at))
        case _:
            alike = [event for event in events if type(event) is type(events[at])]
            field = random.choice(events[at].__struct_fields__)
            value = getattr(random.choice(alike), field)
            if field.endswith("seq") or field == "send_time":
                value = max(getattr(events[at], field) + random.choice((-2, -1, 1, 2)), 0)
            events[at] = msgspec.structs.replace(events[at], **{field: value})


@FEW
@given(
    seed=st.integers(0, 10_000),
    bug=st.sampled_from(["", "", "", *BUGS]),
    accidents=st.integers(0, 8),
)
def test_runs_with_accidents(seed: int, bug: str, accidents: int) -> None:
    random = Random(seed)
    events = FakeServer(seed, bug=bug, steps=60).run()
    if random.random() < 0.5:
        events = interleaved(events, seed)
    for _ in range(accidents):
        _accident(events, random)
    assert _keys(events) == naive_judge(events)


_TIMES = st.integers(1, 30)
_SEQS = st.integers(0, 5)
_STORED_SEQS = st.integers(1, 5)
_DEVICES = st.sampled_from(["u1/1#0", "u1/2#0", "u2/1#0", "u3/1#0"])
_USERS = st.sampled_from(["u1", "u2", "u3"])
_CONVERSATIONS = st.sampled_from(["c", "c", "c", "d"])
_MESSAGES = st.sampled_from(["m1", "m2", "m3", "m4", ""])
_SERVER_IDS = st.sampled_from(["s", "s", "s", "t"])
_SEND_TIMES = st.integers(1, 3)
_MAYBE = st.sampled_from([-1, -1, 0, 2, 4])
_RARELY = st.sampled_from([False, False, False, True])

_EVENTS = st.one_of(
    st.builds(MemberJoined, _CONVERSATIONS, _USERS, _SEQS, _MAYBE),
    st.builds(MemberLeft, _CONVERSATIONS, _USERS, _SEQS, _MAYBE),
    st.builds(SendStarted, _TIMES, _DEVICES, _CONVERSATIONS, _MESSAGES, _RARELY.map(lambda rare: not rare)),
    st.builds(SendAcked, _TIMES, _DEVICES, _CONVERSATIONS, _MESSAGES, _SERVER_IDS, _SEND_TIMES),
    st.builds(SendFailed, _TIMES, _DEVICES, _CONVERSATIONS, _MESSAGES, st.just(0)),
    st.builds(
        MessageReceived, _TIMES, _DEVICES, _CONVERSATIONS, _SEQS, _MESSAGES, _SERVER_IDS, _USERS, _SEND_TIMES,
        st.booleans(), _RARELY,
    ),
    st.builds(SeqsAnswered, _TIMES, _USERS, _CONVERSATIONS, _SEQS, _SEQS, st.sampled_from([0, 10, 30])),
    st.builds(StoredSeen, _CONVERSATIONS, _STORED_SEQS, _MESSAGES, _SERVER_IDS, _USERS, _SEND_TIMES, _RARELY),
    st.builds(MarkedRead, _TIMES, _USERS, _CONVERSATIONS, _SEQS, st.sampled_from([0, 10, 20])),
    st.builds(StorePulled, _CONVERSATIONS),
    st.builds(DeviceDrained, _TIMES, _DEVICES),
    st.builds(StoreGrowing, _TIMES),
)  # fmt: skip


@st.composite
def _thrown_together(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = []
    for device in ("u1/1#0", "u1/2#0", "u2/1#0", "u3/1#0"):
        if not draw(_RARELY):
            begun = DeviceStarted(
                draw(st.integers(0, 5)), device, device[:2], not draw(_RARELY), not draw(_RARELY)
            )
            events.append(begun)
            if draw(st.booleans()):
                events.append(DeviceDrained(draw(_TIMES), device))
    return draw(st.permutations([*events, *draw(st.lists(_EVENTS, max_size=40))]))


@settings(FEW, max_examples=150)
@given(_thrown_together())
def test_events_thrown_together(events: list[Event]) -> None:
    assert _keys(events) == naive_judge(events)
