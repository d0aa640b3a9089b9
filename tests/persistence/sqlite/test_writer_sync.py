"""That an answer comes only after the kernel says that the log is on disk, as strace sees it."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

STRACE = shutil.which("strace")

WRITER = """
import sys
from greenroom.persistence.sqlite.schema import migrate, raise_epoch
from greenroom.persistence.sqlite.statements import connect
from greenroom.persistence.store import Slice
from greenroom.persistence.sqlite.writer_process import main
from greenroom.tests.persistence.store_writes import message
from greenroom.persistence.sqlite.writer_frames import encode_slices
import os, socket, threading
path = sys.argv[1]
connection = connect(path)
migrate(connection, instance=bytes(16))
raise_epoch(connection)
connection.close()
ours, theirs = socket.socketpair()
os.dup2(theirs.fileno(), 0); theirs.close()
def node():
    with ours, ours.makefile("rb") as answers:
        for seq in range(6):
            if seq:
                ours.sendall(encode_slices([Slice("conversation/a_b", 1, [message("si_a_b", seq)])]))
            answers.read(int.from_bytes(answers.read(4), "big"))
threading.Thread(target=node).start()
main(path, 1, 1_000)
"""


@pytest.mark.timeout(60)
def test_log_is_synced_before_the_answer(tmp_path: Path) -> None:
    if STRACE is None:
        assert not os.environ.get("CI"), "CI needs the package strace"
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    subprocess.run(
        [STRACE, "-y", "-o", str(trace), "-e", "trace=fdatasync,fsync,pwrite64,write",
         sys.executable, "-c", WRITER, str(tmp_path / "greenroom.db")],
        check=True,
        timeout=50,
    )  # fmt: skip
    calls = []
    for line in trace.read_text().splitlines():
        if "/greenroom.db-wal>" in line and line.startswith("pwrite64"):
            calls.append("write")
        elif "/greenroom.db-wal>" in line and re.match(r"f(data)?sync.*= 0$", line):
            calls.append("sync")
        elif line.startswith("write(0<"):
            calls.append("answer")
    # The first answer says that the writer is ready; a write is there once however many pages it has.
    calls = [one for i, one in enumerate(calls) if i == 0 or one != "write" or calls[i - 1] != "write"]
    answers = [i for i, one in enumerate(calls) if one == "answer"]
    assert len(answers) == 6
    for start, end in itertools.pairwise(answers):
        assert calls[start + 1 : end][-2:] == ["write", "sync"], calls
