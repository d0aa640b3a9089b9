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
    command = [sys.executable, "-m", "greenroom.tests.bench.run", "--quick", "--only", name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 2
