from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from greenroom.transport.gateway.read_turns import ReadTurns

if TYPE_CHECKING:
    from collections.abc import Callable


class Loop:
    def __init__(self) -> None:
        self.due: list[Callable[[], None]] = []

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.due.append(callback)


class Peer:
    """A connection with frames of this size when they are unfolded, one in a turn."""

    def __init__(self, turns: ReadTurns, log: list[Peer], size: int, frames: int) -> None:
        self.turns, self.log, self.size, self.frames = turns, log, size, frames

    def read_on(self) -> int:
        self.log.append(self)
        self.frames -= 1
        if self.frames:
            self.turns.add(self)
        return self.size


def read_by_turns(*peers: tuple[int, int]) -> list[list[int]]:
    """The sizes that are read in each turn."""
    loop, log = Loop(), list[Peer]()
    turns = ReadTurns(cast("Any", loop))
    for size, frames in peers:
        turns.add(Peer(turns, log, size, frames))
    read = []
    while loop.due:
        (callback,) = loop.due
        loop.due.clear()
        log.clear()
        callback()
        read.append([peer.size for peer in log])
    return read


def test_four_connections_in_a_turn() -> None:
    assert read_by_turns(*[(size, 1) for size in range(6)]) == [[0, 1, 2, 3], [4, 5]]


def test_large_unfolded_frames_end_the_turn() -> None:
    """Frames of 1 KB that unfold to 500 KB take milliseconds each: others are not behind four of them."""
    assert read_by_turns((500_000, 3), (500_000, 1), (70, 1)) == [[500_000], [500_000], [70, 500_000], [500_000]]
    assert read_by_turns(*[(100_000, 1)] * 4) == [[100_000] * 3, [100_000]]
