"""What a scraper gets, and what only the holder of the secret is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from greenroom.actors.status import NodeStatus
from greenroom.tests.kit.http_kit import SECRET, STATUS, HttpStage, http_stage

if TYPE_CHECKING:
    import httpx


def _samples(answer: httpx.Response) -> dict[str, float]:
    return {
        sample.name + "".join(f" {value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


async def test_metrics_without_a_token(http: HttpStage) -> None:
    answer = await http.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    samples = _samples(answer)
    assert samples.pop("process_resident_memory_bytes") > 1e6
    assert samples.pop("process_cpu_seconds_total") > 0
    ours = {name.removeprefix("greenroom_"): value for name, value in samples.items() if name.startswith("greenroom_")}
    assert ours == {
        "connections": 7, "sends_answered_total": 1234, "pushes_total": 5678, "store_failing": 1,
        "limited_sends_total": 41, "limited_changes_total": 42, "limited_anonymous_total": 43,
        "limited_wrong_secrets_total": 44,
        "store_slices_stored_total": 900, "store_slices_refused_total": 3, "store_slices_failed_total": 2,
        "store_slices_late_total": 1, "store_reads_damaged_total": 8,
        "lane_waiting_slices lane-0": 4, "lane_batch_slices lane-0": 5, "lane_batches_total lane-0": 6,
        "child_restarts_total store": 2, "child_restarts_total http": 0,
        "actor_awake Conversation": 11, "actor_awake User": 21,
        "actor_messages_total Conversation": 12, "actor_messages_total User": 22,
        "actor_crashes_total Conversation": 13, "actor_crashes_total User": 23,
        "actor_sleeps_total Conversation": 14, "actor_sleeps_total User": 24,
        "actor_unhandled_total Conversation": 15, "actor_unhandled_total User": 25,
        "actor_mailbox_high_water Conversation": 16, "actor_mailbox_high_water User": 26,
        "actor_quarantined Conversation": 1, "actor_quarantined User": 0,
    }  # fmt: skip
    assert "a_b" not in answer.text


async def test_metrics_that_are_switched_off() -> None:
    async with http_stage(HTTP_METRICS="false") as http:
        assert (await http.client.get("/metrics")).status_code == 404


async def test_status_for_the_secret(http: HttpStage) -> None:
    """It asks neither the store nor a User: the node may be ill."""
    data = await http.data("/greenroom/status", {"secret": SECRET}, user=None)
    assert msgspec.convert(data, NodeStatus) == STATUS
    assert http.asks.count == 0


async def test_status_refuses_others(http: HttpStage) -> None:
    for body in ({}, {"secret": ""}, {"secret": SECRET + "x"}):
        assert await http.error("/greenroom/status", body, user=None) == (1002, "NoPermissionError")
    assert await http.error("/greenroom/status", {}) == (1002, "NoPermissionError")
