"""The secret that signs tokens. It is configured, or generated at the first start and kept in the data directory.

It is never part of a log line or of an error. The texts here only name its file or its setting.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from greenroom.persistence.private_files import is_open_to_others, make_folder, open_private

if TYPE_CHECKING:
    from greenroom.persistence.settings import Settings

__all__ = ["WeakSecret", "find_secret", "is_loopback", "secret_of"]

log = logging.getLogger("greenroom.secret")

_SHORTEST = 16
_LONGEST = 4096
"""Maximum number of bytes in the file."""
_WELL_KNOWN = frozenset({"openim123", "openim", "secret", "changeme", "change_me", "password", "greenroom"})


class WeakSecret(ValueError):
    """The secret is well known or easy to guess, or other users can read its file, and the node can be reached from
    other hosts: at its address, or through a proxy. Or its file contains no secret."""


def secret_of(settings: Settings, data_dir: Path) -> str:
    """The secret of this node. If there is none yet, it is generated and kept in `<data_dir>/secret`.

    A file that others could read is refused as a weak secret is, and not made private: they may have read it. On
    loopback it is used, and made private. A weak one is used there with a warning: a proxy that the settings do not
    name may pass on requests from anywhere.

    Raises WeakSecret, OSError.
    """
    secret, path = settings.auth.secret, data_dir / "secret"
    where, is_open = "auth.secret", False
    if not secret:
        kept = _read_secret(path)
        if kept is None:
            return _make_secret(path)
        where, (secret, is_open) = f"the secret in {path}", kept
        if not secret:
            raise WeakSecret(f"{path} is empty: remove it to have a secret generated")
    is_weak, opening = _is_weak(secret), _opening(settings)
    if opening:
        if is_weak:
            raise WeakSecret(
                f"{where} is well known or shorter than {_SHORTEST} characters, and {opening}: "
                f"{'set a strong one, or leave it empty' if settings.auth.secret else 'remove the file'} "
                "to have one generated"
            )
        if is_open:
            raise WeakSecret(
                f"other users of this machine can read {path}, and {opening}: remove it to have a "
                "new secret generated, or make it private (chmod 600) if nobody has read it"
            )
    elif is_weak:
        log.warning(
            "%s is well known or shorter than %d characters; it is used because the node listens on %s alone. Behind a "
            "proxy everybody could guess it, and with it do everything in the name of every user",
            where, _SHORTEST, settings.node.host,
        )  # fmt: skip
    if is_open:
        path.chmod(0o600)
        log.warning("%s is private to its user now; other users could read it before", path)
    return secret


def _opening(settings: Settings) -> str:
    """Why other hosts can reach the node. Empty if they cannot, as far as the settings say."""
    if not is_loopback(settings.node.host):
        return f"{settings.node.host} is open to the network"
    if settings.limits.trusted_proxies:
        return "limits.trusted_proxies names a proxy, through which other hosts come"
    return ""


def find_secret(settings: Settings) -> str:
    """The secret of a node that has already been started, for tools that run beside it. Empty if there is none yet.
    Raises WeakSecret if the file contains no text, OSError."""
    if settings.auth.secret:
        return settings.auth.secret
    kept = _read_secret(Path(settings.node.data_dir) / "secret")
    return kept[0] if kept else ""


def _read_secret(path: Path) -> tuple[str, bool] | None:
    """The secret in a file, and whether others can read it. None if there is no file. Raises WeakSecret, OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise WeakSecret(f"{path} is not a file: remove it to have a secret generated")
        is_open = is_open_to_others(descriptor)
        text = os.read(descriptor, _LONGEST + 1)
    finally:
        os.close(descriptor)
    if len(text) > _LONGEST or not text.isascii():
        raise WeakSecret(f"{path} is not the text of a secret: remove it to have one generated")
    return text.decode("ascii").strip(), is_open


def _make_secret(path: Path) -> str:
    """Generate the secret. Its file is first written under another name, so that a crash leaves no half of a secret."""
    make_folder(path.parent)
    secret = secrets.token_urlsafe(32)
    draft = path.with_name(f"secret.{os.getpid()}.new")
    descriptor = open_private(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        os.write(descriptor, f"{secret}\n".encode("ascii"))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        os.link(draft, path)  # Unlike a rename, this never replaces one that another process has just made.
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
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
