"""What every command says and returns when the node does not answer, or has another secret."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from greenroom.actors.errors import NoPermission
from greenroom.transport.cli.options import NO_SECRET, UNREACHABLE, CommandFailed
from greenroom.transport.client.errors import ConnectionLost, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["reaching"]


@contextlib.contextmanager
def reaching(url: str) -> Iterator[None]:
    """A context for calls of this URL with the secret. Raises CommandFailed if no node answers, or if the node refuses
    the secret."""
    try:
        yield
    except Refused as refusal:
        why = "has another secret" if refusal.code == NoPermission.code else f"refuses: {refusal.detail or refusal}"
        raise CommandFailed(f"the node at {url} {why}", exit_code=NO_SECRET) from None
    except ConnectionLost:
        raise CommandFailed(f"no node answers at {url}", exit_code=UNREACHABLE) from None
