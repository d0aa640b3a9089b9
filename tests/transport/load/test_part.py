"""A part of a load in this process, against a gateway in memory: what it counts, and what the judge says of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from greenroom.actors.wire.vocabulary import RequestId
from greenroom.tests.kit.fake_gateway import FakeGateway
from greenroom.tests.kit.wire_kit import until
from greenroom.transport.load.judge.judging import judge
from greenroom.transport.load.judge.recorder import read
from greenroom.transport.load.part import LocalPart
from greenroom.transport.load.plan import Drop, PauseReading, Speak
from greenroom.transport.load.population import Population
from greenroom.transport.load.scenario import parse
from greenroom.transport.load.share import Order
from greenroom.transport.load.virtual_user import address_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from greenroom.transport.load.judge.verdict import Verdict
    from greenroom.transport.load.samples import Sample

TEXT = """
users = 2
[pace]
ramp_s = 0.0
[client]
reconnect_base_s = 0.01
{client}
[[step]]
kind = "direct"
"""


class Rehearsal:
    """One part whose two users write to each other when the test says so."""

    def __init__(self, gateway: FakeGateway, folder: Path, *, client: str = "") -> None:
        self.gateway = gateway
        self._history = folder / "history"
        self._scenario = parse(TEXT.format(client=client), source="x")
        self._population = Population(self._scenario, tag="t")
        names = [device.of_token for device in self._population.devices]
        self.part = LocalPart(
            Order(
                scenario=self._scenario, tag="t", part=0, parts=1, ws_url=gateway.url,
                tokens=dict.fromkeys(names, "token"), history=str(self._history),
            )
        )  # fmt: skip

    @property
    def sample(self) -> Sample:
        return self.part._share.sample

    def tell(self, place: int, act: object) -> None:
        self.part._base.tell(address_of(place), act)

    def speak(self, place: int, *, stored: bool = True) -> None:
        share = self.part._share
        destination = self._population.destination(0, place, share.rng)
        assert destination is not None
        self.tell(place, Speak(time.monotonic_ns(), destination, 40, stored))

    def drop(self, place: int, *, half_open: bool = False, resend: bool = False, back_after_s: float = 0.01) -> None:
        self.tell(place, Drop(time.monotonic_ns(), back_after_s, half_open, resend))

    async def verdict(self) -> Verdict:
        """Drain, audit, close, judge."""
        await self.part.end()
        await until(lambda: not self.sample.in_flight and self.sample.online == 2)
        newest = await self.part.newest()
        await until(lambda: all(self.part.has_all(place, newest) for place in (0, 1)))
        assert await self.part.behind(newest) == 0
        pulled = await self.part.audit(newest, exempt_behind=False, growing=False)
        assert pulled == len(newest)
        await self.part.close()
        return judge(read([self._history]))


@pytest.fixture
async def gateway() -> AsyncIterator[FakeGateway]:
    async with FakeGateway() as gateway:
        yield gateway


@pytest.fixture
async def rehearsal(gateway: FakeGateway, tmp_path: Path) -> AsyncIterator[Rehearsal]:
    one = Rehearsal(gateway, tmp_path)
    await one.part.connect()
    yield one
    await one.part.close()


async def test_messages_are_counted_and_judged(rehearsal: Rehearsal) -> None:
    for _ in range(5):
        rehearsal.speak(0)
        rehearsal.speak(1)
    await until(lambda: rehearsal.sample.received == 20 and rehearsal.sample.acked == 10)
    sample = await rehearsal.part.sample()
    assert (sample.planned, sample.sent, sample.acked, sample.failed) == (10, 10, 10, 0)
    assert (sample.logins, sample.online, sample.in_flight) == (2, 2, 0)
    assert (sum(sample.ack.counts.values()), sum(sample.delivery.counts.values())) == (10, 20)
    assert rehearsal.sample.acked == 0, "the next sample counts from zero"
    verdict = await rehearsal.verdict()
    assert verdict.ok
    assert not verdict.notes
    assert (verdict.counts.acked, verdict.counts.required, verdict.counts.drained) == (10, 20, 2)


async def test_unstored_messages(rehearsal: Rehearsal) -> None:
    rehearsal.speak(0, stored=False)
    await until(lambda: rehearsal.sample.acked == 1)
    options = next(iter(rehearsal.gateway.by_client_msg_id.values())).options
    assert not any(options.values())


async def test_half_open_connection_stays_and_the_device_comes_back(rehearsal: Rehearsal) -> None:
    rehearsal.drop(0, half_open=True)
    await until(lambda: rehearsal.sample.logins == 3)
    assert len(rehearsal.gateway.sessions) == 3
    rehearsal.speak(0)
    rehearsal.speak(1)
    await until(lambda: rehearsal.sample.received == 4)
    assert (rehearsal.sample.online, rehearsal.sample.broken_connections) == (2, 0)
    assert (await rehearsal.verdict()).ok


async def test_what_was_missed_while_away_is_pulled(rehearsal: Rehearsal) -> None:
    rehearsal.drop(0, back_after_s=3600)
    await until(lambda: rehearsal.sample.online == 1)
    for _ in range(3):
        rehearsal.speak(1)
    await until(lambda: rehearsal.sample.acked == 3)
    rehearsal.speak(0)  # It is away on purpose: nothing is planned, and nothing fails.
    verdict = await rehearsal.verdict()
    assert verdict.ok
    assert rehearsal.sample.pulled == 3
    assert (rehearsal.sample.planned, rehearsal.sample.failed) == (3, 0)


async def test_unanswered_message_is_sent_again_after_a_drop(rehearsal: Rehearsal) -> None:
    rehearsal.gateway.mute = True
    rehearsal.speak(0)
    await until(lambda: any(identifier == RequestId.SEND_MESSAGE for _, identifier in rehearsal.gateway.requests))
    rehearsal.gateway.mute = False
    rehearsal.drop(0, resend=True)
    await until(lambda: rehearsal.sample.acked == 1)
    assert (await rehearsal.verdict()).ok


async def test_unanswered_message_of_a_dropped_connection_is_no_failure(rehearsal: Rehearsal) -> None:
    rehearsal.gateway.mute = True
    rehearsal.speak(0)
    await until(lambda: any(identifier == RequestId.SEND_MESSAGE for _, identifier in rehearsal.gateway.requests))
    rehearsal.gateway.mute = False
    rehearsal.drop(0)
    await until(lambda: rehearsal.sample.logins == 3)
    sample = await rehearsal.part.sample()
    assert (sample.planned, sample.sent, sample.failed, sample.in_flight) == (0, 0, 0, 0)


async def test_lost_connection_is_made_again_and_the_message_sent_again(gateway: FakeGateway, tmp_path: Path) -> None:
    rehearsal = Rehearsal(gateway, tmp_path, client="resend = true")
    await rehearsal.part.connect()
    gateway.lose_acks = 1
    rehearsal.speak(0)
    await until(lambda: rehearsal.sample.acked == 1)
    assert (rehearsal.sample.broken_connections, rehearsal.sample.logins, rehearsal.sample.failed) == (1, 3, 0)
    rehearsal.speak(1)  # This gateway has not pushed the first message: the second one shows the gap.
    await until(lambda: rehearsal.sample.received == 4)
    verdict = await rehearsal.verdict()
    assert verdict.ok
    assert verdict.counts.stored == 2


async def test_refused_message_fails(rehearsal: Rehearsal) -> None:
    rehearsal.gateway.refuse_sends = [(1302, "BlockedByPeer")]
    rehearsal.speak(0)
    await until(lambda: rehearsal.sample.failed == 1)
    assert rehearsal.sample.errors == {"send: 1302 BlockedByPeer": 1}
    assert (await rehearsal.verdict()).counts.failed == 1


async def test_refused_token_is_not_tried_again(rehearsal: Rehearsal) -> None:
    rehearsal.gateway.refuse = (1501, "TokenExpiredError")
    rehearsal.gateway.cut()
    await until(lambda: rehearsal.sample.login_failures == 2)
    assert rehearsal.sample.errors["login: 1501 TokenExpiredError"] == 2
    rehearsal.speak(0)
    await until(lambda: rehearsal.sample.failed == 1)
    assert rehearsal.gateway.dials == 4


async def test_slow_reader_is_not_measured(rehearsal: Rehearsal) -> None:
    rehearsal.tell(0, PauseReading(0.05))
    rehearsal.speak(1)
    await until(lambda: rehearsal.sample.received == 2)
    sample = await rehearsal.part.sample()
    assert sum(sample.delivery.counts.values()) == 1
    assert (await rehearsal.verdict()).ok
