"""The machine's clock is set back under a running node: the messages keep their order on every device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from greenroom.tests.kit.node_kit import NodeProcess
from greenroom.tests.kit.wire_kit import Device, text_message

if TYPE_CHECKING:
    from pathlib import Path

CLOCK: Final = """
import os, time
real = time.time
time.time = lambda: real() - 60 * os.path.exists(os.environ["CLOCK_SET_BACK"])
real_ns = time.time_ns
time.time_ns = lambda: real_ns() - 60_000_000_000 * os.path.exists(os.environ["CLOCK_SET_BACK"])
"""
"""A clock that is a minute slow once a file exists."""


async def test_clock_set_back_by_a_minute(tmp_path: Path) -> None:
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK)
    set_back = tmp_path / "set-back"
    env = {"PYTHONPATH": str(tmp_path / "clock"), "CLOCK_SET_BACK": str(set_back)}
    node = NodeProcess(tmp_path, env=env)
    await node.start()
    try:
        tokens = await node.tokens("alice", "bob")
        async with await Device.open(node, "alice", tokens["alice"]) as alice:
            times = [(await alice.sent(text_message("alice", "bob", clientMsgID="m0"))).sendTime]
            set_back.touch()
            later = [text_message("alice", "bob", clientMsgID=f"m{number}") for number in range(1, 12)]
            times += [(await alice.sent(message)).sendTime for message in later]
            assert times == [times[0] + number for number in range(12)]
    finally:
        node.close()
