"""Pagination: the items of one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.actors.wire import sdkws_pb2

__all__ = ["MAX_PAGE", "offset_of", "page_of"]

MAX_PAGE = 1000
"""Rows of a page. A request for more is answered with a page of this size: clients that turn pages until one is empty
get all rows. OpenIM's SDK requests 300 at most."""

_Item = TypeVar("_Item")


def offset_of(pagination: sdkws_pb2.RequestPagination) -> tuple[int, int]:
    """The offset and the limit. The limit is 0 if only the total is requested."""
    limit = min(max(0, pagination.showNumber), MAX_PAGE)
    return (pagination.pageNumber - 1) * limit, limit


def page_of(pagination: sdkws_pb2.RequestPagination, items: Sequence[_Item]) -> Sequence[_Item]:
    """The items of the requested page; none beyond the last page."""
    offset, limit = offset_of(pagination)
    return items[offset : offset + limit]
