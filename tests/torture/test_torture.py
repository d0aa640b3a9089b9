"""An ack is a promise: a node that is killed repeatedly under load loses, duplicates and reorders no message."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from greenroom.tests.torture.run import torture

if TYPE_CHECKING:
    from pathlib import Path

KILLS = int(os.environ.get("KILLS", "25" if os.environ.get("CI") else "3"))


@pytest.mark.timeout(180 + 20 * KILLS)
async def test_killed_again_and_again(tmp_path: Path) -> None:
    result = await torture(tmp_path, kills=KILLS, seed=random.randrange(10**6))
    print(result)
    assert result.ok, result
    assert sum(result.kills.values()) == KILLS


@pytest.mark.ci
@pytest.mark.timeout(120)
async def test_killed_with_the_default_limits(tmp_path: Path) -> None:
    """Ten messages a second of each user: half of what one may send."""
    result = await torture(tmp_path, kills=3, seed=random.randrange(10**6), rate_per_s=240, limited=True)
    print(result)
    assert result.ok, result


@pytest.mark.ci
@pytest.mark.timeout(120)
async def test_finds_a_node_that_acks_too_early(tmp_path: Path) -> None:
    result = await torture(tmp_path, kills=6, seed=1, module="greenroom.tests.torture.hasty_node", drain_s=20)
    print(result)
    assert not result.ok
    assert result.totals["acked_not_stored"]
