"""A node with a planted fault: its writer says that a batch is stored though the disk has refused it. Run by the
tests as `python -m greenroom.tests.kit.lying_node serve ...`, with its writer in a thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from greenroom.__main__ import main
from greenroom.persistence.sqlite.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.persistence.store import Refusal, Slice

_honest = Writer.commit


def _lie(self: Writer, slices: Sequence[Slice]) -> list[Refusal | None]:
    _honest(self, slices)
    return [None] * len(slices)


if __name__ == "__main__":
    Writer.commit = _lie  # type: ignore[method-assign]
    main()
