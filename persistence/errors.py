"""The errors of a store, as a tree.

StoreError
├── StoreUnavailable      the store cannot answer now (disk, lock, closed, a dead writer)
├── DataDirectoryInUse    another process owns the data directory
├── DataDirectoryUnsafe   a link, or something else than a file, stands in the place of a file of the node
├── StoreDamaged          the store's files have lost committed data, or changed it
├── StoreTooNew           the store was written by a later release
├── NotAStore             the file is not a store
└── TargetInUse           the folder for a copy is not empty, or has a store already
"""

from __future__ import annotations

from typing import ClassVar

__all__ = [
    "DataDirectoryInUse", "DataDirectoryUnsafe", "NotAStore", "StoreDamaged", "StoreError", "StoreTooNew",
    "StoreUnavailable", "TargetInUse",
]  # fmt: skip


class StoreError(Exception):
    code: ClassVar[int] = 500
    """OpenIM's error code for clients."""
    retryable: ClassVar[bool] = False


class StoreUnavailable(StoreError):
    retryable = True


class DataDirectoryInUse(StoreError):
    pass


class DataDirectoryUnsafe(StoreError):
    pass


class StoreDamaged(StoreError):
    """Its text names the file, and the failed read or the missing data."""


class StoreTooNew(StoreError):
    pass


class NotAStore(StoreError):
    pass


class TargetInUse(StoreError):
    pass
