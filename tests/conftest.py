from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import hypothesis
import pytest

from greenroom.tests.kit.process_watch import ProcessWatch

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from greenroom.tests.kit.node_kit import NodeProcess

# How long one example takes says nothing on a busy machine.
hypothesis.settings.register_profile("greenroom", deadline=None)
hypothesis.settings.load_profile("greenroom")

ENDING_S = 10.0
"""How long the processes of a test may take to end after it, such as the writer of a node that was killed."""
_watch = ProcessWatch()
_known: set[int] = set()
_counted = 0


@pytest.fixture(autouse=True)
def processes_end_with_their_test() -> Iterator[None]:
    """Fails the test that leaves a process. Those that a fixture of a wider scope has started may stay."""
    global _counted
    if _watch.count != _counted:
        _known.clear()
        _known.update(_watch.running())
        _counted = _watch.count
    yield
    if _watch.count != _counted:
        left = _watch.left(_known, within_s=ENDING_S)
        assert not left, "the test has left processes:\n" + "\n".join(f"{pid} {line}" for pid, line in left.items())


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[NodeProcess]:
    """A node that runs, in a process of its own."""
    from greenroom.tests.kit.node_kit import NodeProcess  # Loaded here, as most tests need neither it nor its client.

    async with NodeProcess(tmp_path) as one:
        yield one


@pytest.fixture(scope="module")
def module_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    """The same for all tests of a module."""
    from greenroom.tests.kit.node_kit import NodeProcess

    one = NodeProcess(tmp_path_factory.mktemp("node"))
    asyncio.run(one.start())
    yield one
    one.close()


@pytest.fixture
def node_of_the_page(node: NodeProcess) -> NodeProcess:
    """A node whose data directory is where the README and the pages have it: the folder greenroom-data beside the
    commands."""
    (node.folder / "greenroom-data").symlink_to(node.data_dir, target_is_directory=True)
    return node
