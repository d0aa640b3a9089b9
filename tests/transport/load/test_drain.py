"""When the drain ends, and what it knows then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from greenroom.transport.load import drain as module
from greenroom.transport.load.drain import Drain
from greenroom.transport.load.figures import Moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from greenroom.transport.load.part import LoadPart


class Server:
    """One conversation of one part: its newest seq, and the number of acked messages that are not stored, at each
    reading."""

    def __init__(self, newest: Callable[[int], int | None], unseen: Callable[[int], int], *, online: int = 2) -> None:
        self._newest, self._unseen, self._online = newest, unseen, online
        self.asked = 0

    async def newest(self) -> dict[str, int]:
        self.asked += 1
        seq = self._newest(self.asked)
        return {} if seq is None else {"c": seq}

    async def behind(self, newest: dict[str, int]) -> int:
        return 0 if newest else 2

    async def take(self) -> Moment:
        fields: dict[str, Any] = dict.fromkeys(
            ("at_s", "planned_per_s", "acked_per_s", "received_per_s", "failed_per_s", "lag_p99_ms"), 0.0
        )
        return Moment(
            **fields, harness_cpu_share=0.0, in_flight=0, ack_ms={}, delivery_ms={}, online=self._online,
            unseen=self._unseen(self.asked),
        )  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.001)
    monkeypatch.setattr(module, "ASK_EVERY_S", 0.002)


async def _drained(server: Server, *, limit_s: float) -> Drain:
    drain = Drain([cast("LoadPart", server)], limit_s=limit_s, take=server.take)
    await drain.run(lambda behind, unseen: None)
    return drain


async def test_ends_when_all_is_stored_and_received() -> None:
    server = Server(lambda asked: 5, lambda asked: 0)
    drain = await _drained(server, limit_s=60)
    assert (drain.is_settled, drain.growing, drain.newest, server.asked) == (True, False, {"c": 5}, 2)


async def test_waits_for_acked_messages_that_no_newest_seq_counts_yet() -> None:
    """A server that acks before it stores: all devices have all that it says there is."""
    drain = await _drained(Server(lambda asked: min(asked, 20), lambda asked: max(0, 20 - asked)), limit_s=60)
    assert (drain.is_settled, drain.newest) == (True, {"c": 20})


async def test_time_is_over_while_the_server_still_stores() -> None:
    drain = await _drained(Server(lambda asked: asked, lambda asked: 7), limit_s=0.05)
    assert (drain.is_settled, drain.growing) == (False, True)


async def test_time_is_over_and_the_server_has_stopped_storing() -> None:
    drain = await _drained(Server(lambda asked: min(asked, 3), lambda asked: 7), limit_s=0.5)
    assert (drain.is_settled, drain.growing) == (False, False)


async def test_server_that_answers_nobody() -> None:
    drain = await _drained(Server(lambda asked: None, lambda asked: 0), limit_s=0.05)
    assert (drain.is_settled, drain.growing, drain.newest, drain.behind) == (False, False, {}, 2)
