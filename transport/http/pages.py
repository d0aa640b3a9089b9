"""Pagination: which of the items a page holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from greenroom.actors.wire import sdkws_pb2

__all__ = ["offset_of", "page_of"]

_Item = TypeVar("_Item")


def offset_of(pagination: sdkws_pb2.RequestPagination) -> tuple[int, int]:
    """(offset, limit); the limit is 0 where nothing but the total is asked for."""
    limit = max(0, pagination.showNumber)
    return (pagination.pageNumber - 1) * limit, limit


def page_of(pagination: sdkws_pb2.RequestPagination, items: Sequence[_Item]) -> Sequence[_Item]:
    """Past the end: nothing."""
    offset, limit = offset_of(pagination)
    return items[offset : offset + limit]
