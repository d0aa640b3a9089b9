from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.fake_server import FakeServer
from greenroom.transport.load.judge.events import DeviceDrained, MessageReceived
from greenroom.transport.load.judge.recorder import MAGIC, HistoryUnreadable, Recorder, read

if TYPE_CHECKING:
    from pathlib import Path

    from greenroom.transport.load.judge.events import Event


@pytest.fixture
def events() -> list[Event]:
    return FakeServer(1, bug="gives a seq twice").run()


def _record(path: Path, events: list[Event], *, each_block: int = 10_000) -> None:
    with Recorder(path) as recorder:
        for number, event in enumerate(events, 1):
            recorder.record(event)
            if not number % each_block:
                recorder.flush()


def test_what_is_read_is_what_was_recorded(tmp_path: Path, events: list[Event]) -> None:
    _record(tmp_path / "a", events, each_block=7)
    history = read([tmp_path / "a"])
    assert list(history) == events
    assert list(history) == events
    assert history.torn == []
    assert len({type(event) for event in events}) == 12


def test_many_blocks_without_a_flush(tmp_path: Path) -> None:
    long = "x" * 1_000
    with Recorder(tmp_path / "a") as recorder:
        for number in range(2_000):
            recorder.record(MessageReceived(number, "d", "c", number, long, "s", "u", 2**62, True, True))
        assert recorder.events > 1_000
    assert recorder.events == 2_000
    found = list(read([tmp_path / "a"]))
    assert [event.seq for event in found if isinstance(event, MessageReceived)] == list(range(2_000))


def test_several_files_are_one_history(tmp_path: Path, events: list[Event]) -> None:
    _record(tmp_path / "a", events[:50])
    _record(tmp_path / "b", events[50:])
    assert list(read([tmp_path / "a", tmp_path / "b"])) == events


def test_flushed_events_are_there_before_the_close(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a")
    recorder.record(DeviceDrained(1, "d"))
    assert list(read([tmp_path / "a"])) == []
    recorder.flush()
    assert list(read([tmp_path / "a"])) == [DeviceDrained(1, "d")]
    recorder.close()
    recorder.close()


def test_torn_end_is_reported_and_ignored(tmp_path: Path, events: list[Event]) -> None:
    path = tmp_path / "a"
    _record(path, events, each_block=100)
    whole = path.read_bytes()
    for length in (len(whole) - 1, len(whole) - 12, len(whole) - 200, len(MAGIC) + 5, len(MAGIC) - 3):
        path.write_bytes(whole[:length])
        history = read([path])
        found = list(history)
        assert found == events[: len(found)]
        assert len(found) % 100 == 0 or found == events
        assert len(history.torn) == 1
        assert str(path) in history.torn[0]


def test_damage_is_refused(tmp_path: Path, events: list[Event]) -> None:
    path = tmp_path / "a"
    _record(path, events, each_block=100)
    whole = bytearray(path.read_bytes())
    for at, words in ((len(MAGIC) + 400, "damaged at byte"), (len(MAGIC) + 3, "damaged at byte"), (0, "not a history")):
        hurt = bytearray(whole)
        hurt[at] ^= 0xFF
        path.write_bytes(hurt)
        with pytest.raises(HistoryUnreadable, match=words):
            list(read([path]))


@pytest.mark.parametrize("content", [b"", b"hello\n" * 100])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a"
    path.write_bytes(content)
    with pytest.raises(HistoryUnreadable, match="not a history of greenroom"):
        list(read([path]))


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HistoryUnreadable, match=r"nothing: No such file"):
        list(read([tmp_path / "nothing"]))
