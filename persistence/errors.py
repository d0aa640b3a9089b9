"""What can go wrong with a store, as a tree.

StoreError
├── StoreUnavailable      it cannot answer now (disk, lock, closed, a dead writer)
├── DataDirectoryInUse    another process owns the data directory
├── StoreDamaged          its files do not hold what was committed
├── StoreTooNew           written by a later release
└── NotAStore             the file is something else
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
    """Its text names the file, and what was asked of it or what it should hold."""


class StoreTooNew(StoreError):
    pass


class NotAStore(StoreError):
    pass
