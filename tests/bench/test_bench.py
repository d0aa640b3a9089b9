"""Every benchmark runs to its end and prints its lines. Speed is not judged here."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.bench.run import BENCHMARKS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.ci
@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", BENCHMARKS)
def test_benchmark(name: str, tmp_path: Path) -> None:
    assert len(_lines_of("run", "--quick", "--only", name, cwd=tmp_path)) > 2


@pytest.mark.ci
@pytest.mark.timeout(180)
def test_profile_of_a_node(tmp_path: Path) -> None:
    lines = _lines_of("profile_node", "--seconds", "0.5", cwd=tmp_path)
    assert len([line for line in lines if "messages; a message" in line]) == 2  # The node, and its writer.


def _lines_of(module: str, *arguments: str, cwd: Path) -> list[str]:
    command = [sys.executable, "-m", f"greenroom.tests.bench.{module}", *arguments]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()
