"""The sync of a user with thousands of conversations, as a client does it after an installation: CPU time of a whole
one, gob and gzip included. A bare time: there is nothing that does the same work to compare it with."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.tests.bench.bulk_store import hub_name, write_store
from greenroom.tests.bench.measure import Figure, Load
from greenroom.tests.kit.node_kit import NodeProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["figures"]

MESSAGES = 20
ROUNDS = 20
KINDS = (("1001 and the first 1002, of 100", 100, False), ("1001, 1002s of 100", 100, True))
"""The requests: a name, the number of conversations in one 1002, and whether to ask for all."""


async def figures(*, seconds: float, repeats: int) -> AsyncIterator[Figure]:
    conversations = 5_000 if seconds >= 3 else 1_000
    with tempfile.TemporaryDirectory(dir=os.getcwd(), prefix=".bench-") as folder:
        process = NodeProcess(Path(folder))
        write_store(
            process.data_dir / "greenroom.db", hubs=1, peers=conversations, messages=MESSAGES, text_bytes=100
        )
        times: dict[str, list[float]] = {name: [] for name, _, _ in KINDS}
        notes: dict[str, str] = {}
        await process.start()
        try:
            assert process.process is not None
            user = hub_name(0)
            token = (await process.tokens(user, platform_id=2))[user]
            for _ in range(repeats):
                for name, at_once, everything in KINDS:
                    result = await Load.run(
                        job="sync", port=process.ws_port, pid=process.process.pid, user=user, token=token,
                        conversations=conversations, at_once=at_once, all=everything, rounds=ROUNDS,
                    )  # fmt: skip
                    times[name].append(1e3 * result["cpu_s"] / ROUNDS)
                    notes[name] = f"{result['bytes'] / 1024:,.0f} KiB as sent"
        finally:
            await process.terminate()
            process.close()
    for name, samples in times.items():
        yield Figure(f"sync of {conversations:,} conversations: {name}", samples, "ms of CPU", notes[name])
