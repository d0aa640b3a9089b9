"""What a process counts, on its way over a pipe and into a sum."""

from __future__ import annotations

import msgspec

from greenroom.transport.load.samples import ERRORS_KEPT, Sample, Totals


def _sample(acked: int) -> Sample:
    sample = Sample(acked=acked, online=3, cpu_s=0.5)
    sample.ack.record_ns(acked * 1_000_000)
    sample.count_error("no answer in time")
    return sample


def test_pipe() -> None:
    sample = _sample(7)
    assert msgspec.json.decode(msgspec.json.encode(sample), type=Sample) == sample


def test_sum() -> None:
    totals = Totals()
    for acked in (1, 1, 3):
        totals.add(_sample(acked))
    assert totals.counts()["acked"] == 5
    assert totals.counts()["failed"] == 0
    assert totals.ack.counts == {1000: 2, 3000: 1}
    assert totals.errors == {"no answer in time": 3}


def test_errors_are_bounded_and_the_frequent_ones_kept() -> None:
    totals = Totals()
    for number in range(10 * ERRORS_KEPT):
        totals.add(Sample(errors={"often": 2, f"rare {number}": 1}))
    assert len(totals.errors) == ERRORS_KEPT
    assert totals.frequent_errors(1) == {"often": 20 * ERRORS_KEPT}
