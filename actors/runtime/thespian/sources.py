"""Thespian's source loading: actor classes from zip files, by hash. It costs nothing while it is not used."""

from __future__ import annotations

import hashlib
import logging
import sys
from typing import TYPE_CHECKING, Any

from thespian.actors import LoadedSource, UnloadedSource, ValidateSource
from thespian.system.sourceLoader import SourceHashFinder

if TYPE_CHECKING:
    from greenroom.actors.runtime.address import Address
    from greenroom.actors.runtime.thespian.outside import Outside

__all__ = ["Sources"]

log = logging.getLogger("greenroom.actors.runtime")


class Sources:
    """The sources that a Source Authority has validated. Without an authority nothing is ever loaded."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self.sources: dict[str, Any] = {}
        self.authority: Address | None = None
        self._notified: list[Address] = []
        self._made_from: dict[Address, str] = {}

    def load(self, file: Any) -> str:
        """Read a file (its name, or an open one) and ask the authority to validate it."""
        if hasattr(file, "read"):
            data = file.read()
            file.close()
        else:
            with open(file, "rb") as opened:
                data = opened.read()
        source_hash = hashlib.md5(data, usedforsecurity=False).hexdigest()
        base = self._outside.base
        if self.authority is not None:
            message = ValidateSource(source_hash, data)
            authority = self.authority
            self._outside.call(lambda: base.send(base.system_address, authority, message))
        return source_hash

    def validated(self, source_hash: str, source_zip: Any) -> None:
        """Keep a source that the authority has validated. A source that cannot be read is not kept."""
        try:
            SourceHashFinder(source_hash, lambda v: v, source_zip).getZipNames()
        except Exception as error:
            log.error("validated source %s is corrupt: %s", source_hash, type(error).__name__)
            return
        self.sources[source_hash] = source_zip
        self._tell_all(LoadedSource(source_hash, ""))

    def unload(self, source_hash: str) -> None:
        """Forget a source, and every module that was loaded from it."""

        def unload() -> None:
            if self.sources.pop(source_hash, None) is not None:
                self._tell_all(UnloadedSource(source_hash, ""))
            for finder in [f for f in sys.meta_path if getattr(f, "srcHash", None) == source_hash]:
                root = finder.hashRoot()  # type: ignore[attr-defined]
                for name in [name for name in sys.modules if name and name.startswith(root)]:
                    del sys.modules[name]
                sys.meta_path.remove(finder)

        self._outside.call(unload)

    def notify(self, address: Address, enable: bool) -> None:
        """Start or stop notifying an actor of loaded and unloaded sources."""
        self._notified = [each for each in self._notified if each != address]
        if enable:
            self._notified.append(address)
            base = self._outside.base
            for source_hash in self.sources:
                base.send(base.system_address, address, LoadedSource(source_hash, ""))

    def note(self, address: Address, source_hash: str) -> None:
        """Note the source of an actor's class. The classes of its children are loaded from the same source."""
        self._made_from[address] = source_hash

    def source_of(self, address: Address) -> str | None:
        """The source of an actor's class."""
        return self._made_from.get(address)

    def forget(self, address: Address) -> None:
        """Forget an address whose actor has ended."""
        self._made_from.pop(address, None)
        if address in self._notified:
            self._notified.remove(address)

    def close(self) -> None:
        """Unload all sources."""
        for source_hash in list(self.sources):
            self.unload(source_hash)

    def _tell_all(self, message: Any) -> None:
        base = self._outside.base
        for address in self._notified:
            base.send(base.system_address, address, message)
