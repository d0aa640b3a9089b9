"""The secret that signs tokens. It is configured, or generated at the first start and kept in the data directory.

It is never part of a log line or of an error. The texts here only name its file or its setting.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenroom.persistence.settings import Settings

__all__ = ["WeakSecret", "find_secret", "is_loopback", "secret_of"]

log = logging.getLogger("greenroom.secret")

_SHORTEST = 16
_WELL_KNOWN = frozenset({"openim123", "openim", "secret", "changeme", "change_me", "password", "greenroom"})


class WeakSecret(ValueError):
    """The secret is well known or easy to guess, and the node's address can be reached from other hosts."""


def secret_of(settings: Settings, data_dir: Path) -> str:
    """The secret of this node. If there is none yet, it is generated and kept in `<data_dir>/secret`.

    Raises WeakSecret, OSError.
    """
    secret = settings.auth.secret
    if not secret:
        return _read_secret(data_dir / "secret") or _make_secret(data_dir / "secret")
    if _is_weak(secret) and not is_loopback(settings.node.host):
        raise WeakSecret(
            f"auth.secret is well known or shorter than {_SHORTEST} characters, and {settings.node.host} "
            "is open to the network: set a strong one, or leave it empty to have one generated"
        )
    return secret


def find_secret(settings: Settings) -> str:
    """The secret of a node that has already been started, for tools that run beside it. Empty if there is none yet."""
    return settings.auth.secret or _read_secret(Path(settings.node.data_dir) / "secret")


def _read_secret(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _make_secret(path: Path) -> str:
    """Generate the secret. Its file is first written under another name, so that a crash leaves no half of a secret."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = secrets.token_urlsafe(32)
    draft = path.with_name(f"secret.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, f"{secret}\n".encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(draft, path)  # Unlike a rename, this never replaces one that another process has just made.
    except FileExistsError:
        return _read_secret(path)
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    log.info("a secret was generated; it is kept in %s", path)
    return secret


def _is_weak(secret: str) -> bool:
    return len(secret) < _SHORTEST or secret.lower() in _WELL_KNOWN or len(set(secret)) < 4


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a node that listens on this host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
