from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from greenroom.tests.kit.fake_server import BUGS, FakeServer
from greenroom.transport.cli.command import main
from greenroom.transport.load.judge.events import HistoryPart, StoreGrowing
from greenroom.transport.load.judge.recorder import Recorder, read

if TYPE_CHECKING:
    from pathlib import Path


def start_nothing(_: object) -> int:
    raise AssertionError("no node is started")


def _recorded(folder: Path, bug: str = "") -> str:
    path = folder / "run.history"
    with Recorder(path) as recorder:
        for event in FakeServer(5, bug=bug).run():
            recorder.record(event)
    return str(path)


def test_clean_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", _recorded(tmp_path)], start_node=start_nothing) == 0
    said = capsys.readouterr()
    assert "clean: no promise was broken" in said.out
    assert "12 devices, 12 of them to the end" in said.out
    assert "judged in" in said.err


@pytest.mark.parametrize("bug", list(BUGS)[:5])
def test_violated_history(bug: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", _recorded(tmp_path, bug), "--workdir", str(tmp_path)], start_node=start_nothing) == 2
    said = capsys.readouterr().out
    assert "VIOLATED" in said
    assert f"\n{BUGS[bug]}: s" in said
    assert "  StoredSeen  " in said or "  StorePulled  " in said


def test_verdict_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "--json", _recorded(tmp_path, "pushes twice")], start_node=start_nothing) == 2
    said = capsys.readouterr()
    plain = msgspec.json.decode(said.out)
    assert plain["totals"] == {"received_twice": 1}
    assert not said.err


def test_torn_history_is_inconclusive_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "torn"
    path.write_bytes((tmp_path / "run.history").read_bytes()[:-10] if _recorded(tmp_path) else b"")
    assert main(["judge", str(path)], start_node=start_nothing) == 4
    assert "INCONCLUSIVE: " in capsys.readouterr().out
    assert main(["judge", "--json", str(path)], start_node=start_nothing) == 4
    assert msgspec.json.decode(capsys.readouterr().out)["conclusive"] is False
    assert main(["judge", str(path)], start_node=start_nothing) == 4
    assert "note: " in (said := capsys.readouterr().out)
    assert "its recorder was killed" in said
    assert "not judged: phantom" in said


def test_empty_history_is_inconclusive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Recorder(tmp_path / "empty").close()
    assert main(["judge", str(tmp_path / "empty")], start_node=start_nothing) == 4
    assert "clean" not in capsys.readouterr().out


def test_missing_file_of_another_process_is_inconclusive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the other process has sent would look like phantoms."""
    for part in (0, 1):
        with Recorder(tmp_path / str(part)) as recorder:
            recorder.record(HistoryPart(part, 2))
            for event in FakeServer(5).run():
                owner: str = getattr(event, "device", "u5")
                if (owner[:2] in ("u0", "u1", "u2")) == (part == 0):
                    recorder.record(event)
    both = [str(tmp_path / "0"), str(tmp_path / "1")]
    assert main(["judge", *both], start_node=start_nothing) == 0
    assert main(["judge", both[0]], start_node=start_nothing) == 4
    said = capsys.readouterr().out
    assert "file number 1" in said
    assert "not judged: phantom" in said


def test_growing_store_leaves_missing_messages_undecided(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _recorded(tmp_path, "acks before the commit, and loses it")
    assert main(["judge", path], start_node=start_nothing) == 2
    events = list(read([path]))
    with Recorder(path) as recorder:
        for event in (*events, StoreGrowing(1)):
            recorder.record(event)
    capsys.readouterr()
    assert main(["judge", path], start_node=start_nothing) == 4
    said = capsys.readouterr().out
    assert "undecided, because the server was still storing" in said
    assert "acked_not_stored          1" in said


def test_time_that_goes_back_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = _recorded(tmp_path, "lets sendTime go back")
    assert main(["judge", path], start_node=start_nothing) == 0
    said = capsys.readouterr().out
    assert "findings that break no promise" in said
    assert "time_back" in said
    assert main(["judge", "--strict", path], start_node=start_nothing) == 2
    assert "VIOLATED: 1 violation" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "code", "words"),
    [
        ("judge", 64, "name the files"),
        ("judge --wrong", 64, "--wrong"),
        ("judge nothing", 66, "nothing is not there"),
        ("judge .", 66, ". is not a file"),
        ("judge text", 65, "text: not a history"),
        ("judge text --workdir nothing", 66, "nothing is not a folder"),
    ],
)
def test_bad_input_gets_one_line(
    line: str,
    code: int,
    words: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text").write_text("hello")
    assert main(line.split(), start_node=start_nothing) == code
    said = capsys.readouterr()
    assert not said.out
    assert said.err.count("\n") == 1
    assert words in said.err
