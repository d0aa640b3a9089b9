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

HERE = Path(__file__).parent

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
    command = [sys.executable, "-m", "pytest", "-c", str(tmp_path / "pytest.ini"), f"--rootdir={tmp_path}"]
    command += ["-n", "8", "-p", "greenroom_base_plugin", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    command += ["--timeout=200", "-k", "simpleSystemBase", "-rA", "-q", "--pyargs", "thespian.test"]
    run = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=580,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(HERE), "PYTEST_ADDOPTS": ""},
    )
    expected = set((HERE / "passing_on_simple_base.txt").read_text().splitlines())
    passed = outcomes(run.stdout, "PASSED")
    assert len(expected) == 264
    assert expected - passed <= EXCEPTIONS.keys(), run.stdout[-20_000:]
    failed = outcomes(run.stdout, "FAILED") | outcomes(run.stdout, "ERROR")
    assert failed <= EXCEPTIONS.keys(), run.stdout[-20_000:]
    assert re.search(r"\b96 skipped\b", run.stdout), run.stdout[-2_000:]
