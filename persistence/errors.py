"""The errors of a store.

StoreError
├── StoreUnavailable      the store cannot answer now (disk, lock, closed, a dead writer)
├── DataDirectoryInUse    another process owns the data directory
├── StoreDamaged          the files do not hold what was committed
├── StoreTooNew           a later release has written the files
└── NotAStore             the file is not a store
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ["DataDirectoryInUse", "NotAStore", "StoreDamaged", "StoreError", "StoreTooNew", "StoreUnavailable"]


class StoreError(Exception):
    code: ClassVar[int] = 500
    """OpenIM's error code for a client that meets it."""
    retryable: ClassVar[bool] = False


class StoreUnavailable(StoreError):
    retryable = True


class DataDirectoryInUse(StoreError):
    pass


class StoreDamaged(StoreError):
    """The text says which file, and what was read from it or what it should hold."""


class StoreTooNew(StoreError):
    pass


class NotAStore(StoreError):
    pass
