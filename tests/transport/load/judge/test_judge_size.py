"""A long clean history is judged in bounded memory, without a false alarm.

Ten million events with GREENROOM_TEN_MILLION=1. Each is judged by a process of its own, whose peak is the figure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MILLION = 1_000_000
MIB = 1024 * 1024
MEMORY_LIMIT_BYTES = 64 * MIB
PROGRAM = Path(__file__).parents[3] / "kit" / "long_history.py"


def _judge(tmp_path: Path, events: int, *, conversations: int, devices: int, timeout_s: float) -> None:
    shape = [str(number) for number in (events, conversations, devices, MEMORY_LIMIT_BYTES)]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path), *shape],
        capture_output=True, text=True, timeout=timeout_s, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    print(
        f"{told['events']:,} events, {conversations} conversations, {devices} devices each: "
        f"{told['wall_s']:.0f} s ({told['cpu_s']:.0f} s of CPU), peak +{told['peak_growth_bytes'] / MIB:.0f} MiB"
    )
    assert told["totals"] == {}
    assert told["notes"] == []
    assert told["events"] >= events
    assert told["required"] == told["received"] > events / 3
    # The limit, and 16 bytes a message of the largest conversation, and what SQLite and Python add.
    assert told["peak_growth_bytes"] < MEMORY_LIMIT_BYTES + 16 * events / conversations / devices + 64 * MIB


@pytest.mark.ci
@pytest.mark.timeout(600)
@pytest.mark.parametrize(("conversations", "devices"), [(5_000, 3), (1, 6)])
def test_million_events(conversations: int, devices: int, tmp_path: Path) -> None:
    _judge(tmp_path, MILLION, conversations=conversations, devices=devices, timeout_s=580)


@pytest.mark.ci
@pytest.mark.timeout(3_600)
@pytest.mark.skipif(not os.environ.get("GREENROOM_TEN_MILLION"), reason="GREENROOM_TEN_MILLION is not set")
@pytest.mark.parametrize(("conversations", "devices"), [(1_000, 8), (1, 8)])
def test_ten_million_events(conversations: int, devices: int, tmp_path: Path) -> None:
    _judge(tmp_path, 10 * MILLION, conversations=conversations, devices=devices, timeout_s=3_500)
