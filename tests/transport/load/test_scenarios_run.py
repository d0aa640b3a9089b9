"""Every shipped scenario in a short form against a node, and the judge's word on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from greenroom.tests.kit.load_kit import SHORT, start_load, wait_load
from greenroom.tests.kit.node_kit import LIMITED, SECRET, NodeProcess
from greenroom.transport.client.api import Api
from greenroom.transport.load.scenario import shipped

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.ci, pytest.mark.timeout(90)]

SMALLER: dict[str, tuple[str, ...]] = {
    "many-small-groups": ("--users", "60", "--set", "group.groups=6"),
    "mixed-day": ("--users", "60", "--set", "group.groups=5", "--set", "slow.pause_s=0.5"),
    "login-storm": ("--set", "storm.times=2", "--set", "storm.over_s=0.3"),
    "churn": ("--set", "churn.every_s=1"),
    "slow-readers": ("--set", "slow.every_s=1", "--set", "slow.pause_s=0.5"),
}


@pytest.mark.parametrize("name", shipped())
async def test_shipped_scenario(name: str, node: NodeProcess, tmp_path: Path) -> None:
    arguments = ("--users", "40", "--rate", "40", *SHORT, *SMALLER.get(name, ()))
    if "--users" in SMALLER.get(name, ()):
        arguments = arguments[2:]
    run = await wait_load(await start_load(tmp_path, name, *arguments, node=node), tmp_path, name)
    assert run.code == 0, run.out + run.err
    figures = run.figures
    assert figures["verdict"]["ok"]
    assert not figures["verdict"]["notes"]
    assert figures["drained"]
    assert not figures["not_caught_up"]
    if name != "idle":
        assert figures["counts"]["acked"] > 20
        assert figures["verdict"]["counts"]["required"] > 0
    if name == "offline-catch-up":
        assert figures["counts"]["pulled"] > 0
    if name == "login-storm":
        assert figures["counts"]["logins"] > 40 * 2


async def test_default_limits(tmp_path: Path) -> None:
    """Loopback is exempt from them. Without the exemption, users who write as people do meet none either."""
    node = NodeProcess(tmp_path, env=LIMITED)
    await node.start()
    try:
        started = await start_load(tmp_path, "one-to-one", "--users", "40", "--rate", "80", *SHORT, node=node)
        run = await wait_load(started, tmp_path, "one-to-one")
        async with Api(node.api_url) as api:
            status = await api.call("/greenroom/status", {"secret": SECRET})
    finally:
        node.close()
    assert run.code == 0, run.out + run.err
    assert run.figures["counts"]["acked"] > 40
    assert set(status["limited"].values()) == {0}


async def test_two_processes(node: NodeProcess, tmp_path: Path) -> None:
    arguments = ("--users", "40", "--rate", "60", "--processes", "2", *SHORT)
    run = await wait_load(await start_load(tmp_path, "one-to-one", *arguments, node=node), tmp_path, "one-to-one")
    assert run.code == 0, run.out + run.err
    assert run.figures["harness"]["processes"] == 2
    assert run.figures["verdict"]["counts"]["devices"] == 40


async def test_groups_over_two_processes(node: NodeProcess, tmp_path: Path) -> None:
    arguments = ("--users", "20", "--rate", "20", "--processes", "2", *SHORT)
    run = await wait_load(await start_load(tmp_path, "group-burst", *arguments, node=node), tmp_path, "group-burst")
    assert run.code == 0, run.out + run.err
    counts = run.figures["verdict"]["counts"]
    assert counts["required"] == counts["acked"] * 20


async def test_closed_loop(node: NodeProcess, tmp_path: Path) -> None:
    arguments = ("--users", "20", "--closed", "--set", "pace.think_s=[0.1, 0.2]", *SHORT)
    run = await wait_load(await start_load(tmp_path, "one-to-one", *arguments, node=node), tmp_path, "one-to-one")
    assert run.code == 0, run.out + run.err
    assert 60 < run.figures["counts"]["acked"] < 600


async def test_several_devices_and_json_envelope(node: NodeProcess, tmp_path: Path) -> None:
    arguments = ("--users", "10", "--rate", "30", "--set", "client.platforms=[1, 5]", "--set", "client.envelope=js")
    run = await wait_load(
        await start_load(tmp_path, "one-to-one", *arguments, *SHORT, node=node), tmp_path, "one-to-one"
    )
    assert run.code == 0, run.out + run.err
    counts = run.figures["verdict"]["counts"]
    assert counts["devices"] == 20
    assert counts["required"] == counts["stored"] * 4


async def test_capacity_search(node: NodeProcess, tmp_path: Path) -> None:
    # Some rate is too much for these 40 ms, so the search has an end.
    arguments = ("--users", "20", "--rate", "100", "--find-capacity", *SHORT[2:])
    run = await wait_load(
        await start_load(
            tmp_path, "one-to-one", *arguments, "--for", "1s", "--set", "thresholds.ack_p99_ms=40", node=node
        ),
        tmp_path,
        "one-to-one",
    )
    figures = run.figures
    assert run.code in (0, 1, 3), run.out + run.err
    assert figures["verdict"]["ok"]
    assert figures["trials"]
    assert (figures["capacity_per_s"] > 0) == any(trial["held"] for trial in figures["trials"])
