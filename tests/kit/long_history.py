"""Records a long clean history and judges it: FOLDER EVENTS CONVERSATIONS DEVICES MEMORY_LIMIT_BYTES.

Prints one JSON object with what the judge counted and what it took.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.transport.load.judge.events import (
    DeviceDrained,
    DeviceStarted,
    Event,
    MarkedRead,
    MemberJoined,
    MessageReceived,
    SendAcked,
    SendStarted,
    SeqsAnswered,
    StoredSeen,
    StorePulled,
)
from greenroom.transport.load.judge.judging import judge
from greenroom.transport.load.judge.recorder import Recorder, read

if TYPE_CHECKING:
    from collections.abc import Iterator

START_MS = 1_700_000_000_000


def history(events: int, conversations: int, devices: int) -> Iterator[Event]:
    """Every conversation has members of its own, with one device each; now and then a resend, a mark, a question."""
    messages = events // (devices + 3)
    at = 0

    def device(conversation: int, number: int) -> str:
        return f"{user(conversation, number)}/5#0"

    def user(conversation: int, number: int) -> str:
        return f"u{conversation % 200}_{number}"

    for number in range(min(conversations, 200)):
        for member in range(devices):
            yield DeviceStarted(0, device(number, member), user(number, member))
    for number in range(conversations):
        for member in range(devices):
            yield MemberJoined(f"sg_{number}", user(number, member), 0)
    for message in range(messages):
        number, seq = message % conversations, message // conversations + 1
        name, sender, at = f"sg_{number}", message % devices, at + 1_000
        msg, server, sent_by = f"{message:032x}", f"{message * 7919:032x}", user(number, message % devices)
        yield SendStarted(at, device(number, sender), name, msg, True)
        if message % 10 == 0:
            yield SendStarted(at + 400, device(number, sender), name, msg, True)
            yield SendAcked(at + 500, device(number, sender), name, msg, server, START_MS + message)
        for member in range(devices):
            came = at + 100 + member
            yield MessageReceived(
                came, device(number, member), name, seq, msg, server, sent_by, START_MS + message, False
            )
        yield SendAcked(at + 200, device(number, sender), name, msg, server, START_MS + message)
        if message % 20 == 0:
            yield MarkedRead(at + 600, sent_by, name, seq, at + 610)
            yield SeqsAnswered(at + 620, sent_by, name, seq, seq, at + 630)
    for number in range(min(conversations, 200)):
        for member in range(devices):
            yield DeviceDrained(at + 10_000, device(number, member))
    for message in range(messages):
        number = message % conversations
        sent_by = user(number, message % devices)
        seq, server = message // conversations + 1, f"{message * 7919:032x}"
        yield StoredSeen(f"sg_{number}", seq, f"{message:032x}", server, sent_by, START_MS + message)
    for number in range(conversations):
        yield StorePulled(f"sg_{number}")


def peak_bytes() -> int:
    """The highest memory of this process (getrusage would count the process that started it, too)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def main(folder: str, events: int, conversations: int, devices: int, memory_limit_bytes: int) -> None:
    path = Path(folder) / "long.history"
    with Recorder(path) as recorder:
        for event in history(events, conversations, devices):
            recorder.record(event)
    before, wall, cpu = peak_bytes(), time.perf_counter(), time.process_time()
    verdict = judge(read([path]), workdir=folder, memory_limit_bytes=memory_limit_bytes)
    told = {
        "events": verdict.counts.events,
        "received": verdict.counts.received,
        "required": verdict.counts.required,
        "totals": verdict.totals,
        "notes": verdict.notes,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_growth_bytes": peak_bytes() - before,
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
