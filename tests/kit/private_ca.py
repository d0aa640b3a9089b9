"""A certificate authority of one's own, and a server's certificate for localhost that it has signed."""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["CA", "private_ca", "server_tls"]

CA = "ca.pem"
"""The authority's certificate, which clients must trust."""


def private_ca(folder: Path) -> None:
    """Make it in the folder, with openssl."""
    extensions = "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    for command in (
        f"req -x509 -newkey rsa:2048 -nodes -days 2 -keyout ca.key -out {CA} -subj /CN=private {extensions}",
        "req -newkey rsa:2048 -nodes -keyout key.pem -out cert.csr -subj /CN=localhost",
        f"x509 -req -in cert.csr -CA {CA} -CAkey ca.key -CAcreateserial -days 2 -extfile names -out cert.pem",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)


def server_tls(folder: Path) -> ssl.SSLContext:
    served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    served.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return served
