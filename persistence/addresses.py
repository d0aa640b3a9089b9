"""The addresses of a running node, kept in its data directory, so that commands on the same machine find it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import msgspec

from greenroom.persistence.private_files import open_private

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Addresses"]

_NAME = "addresses"


class Addresses(msgspec.Struct, frozen=True, rename="camel"):
    """The host and the ports on which a node listens."""

    host: str
    ws_port: int
    api_port: int

    def publish(self, folder: Path) -> None:
        """Write the file. Its name appears only once it is complete. Raises OSError, DataDirectoryUnsafe."""
        new = folder / f"{_NAME}.new"
        descriptor = open_private(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            with open(descriptor, "wb") as file:
                file.write(msgspec.json.encode(self) + b"\n")
            new.replace(folder / _NAME)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    @staticmethod
    def withdraw(folder: Path) -> None:
        """Remove the file: the node has stopped. After a crash the file stays until the next start."""
        with contextlib.suppress(OSError):
            (folder / _NAME).unlink()

    @staticmethod
    def find(folder: Path) -> Addresses | None:
        """The addresses of the node that runs on this folder. None if there is none, or its file cannot be read."""
        try:
            return msgspec.json.decode((folder / _NAME).read_bytes(), type=Addresses)
        except (OSError, msgspec.DecodeError):
            return None
