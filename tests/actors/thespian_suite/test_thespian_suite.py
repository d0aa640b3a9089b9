"""Thespian's own tests, as shipped in the installed package, over our base.

What passes on Thespian's simpleSystemBase passes on ours. The names are in `passing_on_simple_base.txt`; the
suite sleeps for minutes, so it runs in parallel, in a process that inherits none of our pytest settings.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import thespian.test

HERE = Path(__file__).parent

SUITE = Path(thespian.test.__file__).parent
AGAIN_LIMIT = 5
"""Tests that may fail beside others and pass alone."""

EXCEPTIONS = {
    "test_threadedExternal.py::TestFuncThreadedExternal"
    "::test_multiple_threads_private_context_ask[simpleSystemBase-100]": (
        "100 actors block their one thread for 70 ms each, 7 s in all, while each of 100 askers allows 5 s. "
        "simpleSystemBase passes because its private ask ignores its time-out; ours keeps it."
    ),
}
"""Tests that pass there and not here, each with its reason."""


def outcomes(output: str, word: str) -> set[str]:
    return set(re.findall(rf"^{word} .*?(test_\w+\.py::[^\n]*?)(?: - [^\n]*)?$", output, re.MULTILINE))


@pytest.mark.ci
@pytest.mark.timeout(600)
def test_thespian_suite_passes_over_our_base(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    expected = set((HERE / "passing_on_simple_base.txt").read_text().splitlines())
    assert len(expected) == 264
    output = run_suite(tmp_path, "-n", "8", "-k", "simpleSystemBase", str(SUITE))
    assert re.search(r"\b96 skipped\b", output), output[-2_000:]
    passed = outcomes(output, "PASSED")
    failed = outcomes(output, "FAILED") | outcomes(output, "ERROR") | expected - passed
    # Many go by the clock, and eight at once on a busy machine may miss it: what failed is tried once more, alone.
    again = sorted(failed - EXCEPTIONS.keys())
    if again:
        assert len(again) <= AGAIN_LIMIT, output[-20_000:]
        output = run_suite(tmp_path, *(str(SUITE / name) for name in again))
        assert outcomes(output, "PASSED") == set(again), output[-20_000:]


def run_suite(folder: Path, *selection: str) -> str:
    """What pytest said of the selected tests."""
    command = [sys.executable, "-m", "pytest", "-c", str(folder / "pytest.ini"), f"--rootdir={SUITE}"]
    command += ["-p", "greenroom_base_plugin", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    command += ["--timeout=200", "-rA", "-q", *selection]
    return subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=290,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(HERE), "PYTEST_ADDOPTS": ""},
    ).stdout
