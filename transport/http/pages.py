"""Pagination: the items of one page; and the parts in which a long list is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from greenroom.actors.queries.slice_turns import next_slice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from greenroom.actors.wire import sdkws_pb2

__all__ = ["MAX_PAGE", "in_parts", "offset_of", "page_of"]

MAX_PAGE = 1000
"""Rows of a page. A request for more is answered with a page of this size: clients that turn pages until one is empty
get all rows. OpenIM's SDK requests 300 at most."""

_PART = 100
"""Items of a part. Each may have the longest texts, and is read and converted in a turn of the loop."""

_Item = TypeVar("_Item")


def offset_of(pagination: sdkws_pb2.RequestPagination) -> tuple[int, int]:
    """The offset and the limit. The limit is 0 if only the total is requested."""
    limit = min(max(0, pagination.showNumber), MAX_PAGE)
    return (pagination.pageNumber - 1) * limit, limit


def page_of(pagination: sdkws_pb2.RequestPagination, items: Sequence[_Item]) -> Sequence[_Item]:
    """The items of the requested page; none beyond the last page."""
    offset, limit = offset_of(pagination)
    return items[offset : offset + limit]


async def in_parts(items: Sequence[_Item], size: int = _PART) -> AsyncIterator[Sequence[_Item]]:
    """The items in parts, between which other tasks run."""
    for start in range(0, len(items), size):
        if start:
            await next_slice()
        yield items[start : start + size]
