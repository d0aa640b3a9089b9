"""The judge finds each planted bug and calls it by its name, and finds nothing where there is nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from greenroom.tests.kit.fake_server import BUGS, FakeServer, interleaved
from greenroom.tests.kit.naive_judge import naive_judge
from greenroom.transport.load.judge.events import DeviceStarted, MemberJoined, MessageReceived, SendStarted
from greenroom.transport.load.judge.judging import judge
from greenroom.transport.load.judge.recorder import Recorder, read
from greenroom.transport.load.judge.verdict import KINDS

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.transport.load.judge.events import Event


def _run_with(bug: str) -> FakeServer:
    """A run that comes to the place of the bug."""
    for seed in range(50):
        server = FakeServer(seed, bug=bug)
        server.run()
        if server.planted:
            return server
    raise AssertionError(f"never planted: {bug}")


def test_twenty_bugs_are_planted() -> None:
    assert len(BUGS) == 20
    assert set(BUGS.values()) <= set(KINDS)


@pytest.mark.parametrize("bug", BUGS)
def test_planted_bug_is_found_and_named(bug: str) -> None:
    for events in (_run_with(bug).events, interleaved(_run_with(bug).events, 7)):
        verdict = judge(events)
        assert not verdict.ok
        assert BUGS[bug] in verdict.totals, verdict.totals
        violation = next(one for one in verdict.violations if one.kind == BUGS[bug])
        assert violation.conversation_id
        assert violation.detail
        assert violation.around
        assert bug in ("makes up a message", "skips a seq") or len(violation.around) > 1


def test_clean_runs_raise_no_alarm() -> None:
    for seed in range(25):
        events = FakeServer(seed).run()
        for history in (events, interleaved(events, seed)):
            verdict = judge(history)
            assert verdict.ok, (seed, verdict.violations[:1])
        assert not naive_judge(events), seed
        assert not verdict.notes
        assert verdict.counts.required > 100


def test_history_in_files_and_from_a_generator(tmp_path: Path) -> None:
    events = _run_with("pushes twice").events
    paths = [tmp_path / "one", tmp_path / "two"]
    for path, devices in zip(paths, ("u0 u1 u2", "u3 u4 u5"), strict=True):
        with Recorder(path) as recorder:
            for event in events:
                owner: str = getattr(event, "device", "") or getattr(event, "user_id", "u0")
                if owner[:2] in devices:
                    recorder.record(event)
    for history in (events, iter(events), read(paths)):
        verdict = judge(history, workdir=tmp_path)
        assert set(verdict.totals) == {"received_twice"}
        assert verdict.violations[0].around
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "two"]


def test_killed_recorder_raises_no_alarm(tmp_path: Path) -> None:
    """What it did not write looks like phantoms and strangers, and like a store that has lost the rest."""
    for seed in range(3):
        events = interleaved(FakeServer(seed).run(), seed)
        for number, name in enumerate(("one", "two")):
            with Recorder(tmp_path / name) as recorder:
                for place, event in enumerate(events):
                    owner: str = getattr(event, "device", "u5")
                    if (owner[:2] in ("u0", "u1", "u2")) == (number == 0):
                        recorder.record(event)
                    if not place % 20:
                        recorder.flush()
        whole = (tmp_path / "one").read_bytes()
        for length in range(200, len(whole), len(whole) // 7):
            (tmp_path / "one").write_bytes(whole[:length])
            verdict = judge(read([tmp_path / "one", tmp_path / "two"]))
            assert verdict.ok, (seed, length, verdict.violations[:1])
            assert "its recorder was killed" in verdict.notes[0]


def test_verdict_as_json() -> None:
    verdict = judge(_run_with("loses it for one device of a user").events)
    plain = msgspec.json.decode(verdict.to_json())
    assert plain["ok"] is False
    assert plain["totals"] == {"lost": 1}
    [violation] = plain["violations"]
    assert violation["device"].startswith(violation["user_id"])
    assert {event["event"] for event in violation["around"]} >= {"SendStarted", "StoredSeen"}
    assert all(event["conversation_id"] == violation["conversation_id"] for event in violation["around"])


def test_kept_violations_are_bounded_and_the_first() -> None:
    events: list[Event] = [DeviceStarted(0, "a", "a"), MemberJoined("c", "b", 0)]
    for number in range(1, 101):
        events.append(SendStarted(number, "a", "c", f"m{number}", True))
        events.append(MessageReceived(number, "a", "c", number, f"m{number}", "s", "a", number, False))
    verdict = judge(events, keep_per_kind=3)
    assert verdict.totals == {"received_by_stranger": 100}
    assert [violation.seq for violation in verdict.violations] == [1, 2, 3]


def test_empty_history() -> None:
    verdict = judge([])
    assert verdict.ok
    assert verdict.counts.events == 0
    assert verdict.notes
