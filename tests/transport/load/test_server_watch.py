from __future__ import annotations

import os
import time

from greenroom.transport.load.server_watch import process_cpu_s


def test_what_a_process_has_used() -> None:
    before = time.process_time()
    used = process_cpu_s(os.getpid())
    assert before <= used <= time.process_time()


def test_no_such_process() -> None:
    assert process_cpu_s((1 << 22) + 1) == 0.0  # Past the largest number of a process.
