"""The official web SDK and a static server for it: fetched once into `.services/`, never committed."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
SDK = "@openim/wasm-client-sdk@3.8.5"
SDK_HOME = ROOT / ".services" / "openim-sdk"
PAGE_HOME = ROOT / "tests" / "sdk" / "page"
NEEDED = (
    "assets/openIM.wasm",
    "assets/sql-wasm.wasm",
    "assets/wasm_exec.js",
    "lib/index.es.js",
    "lib/worker.js",
)


def missing_tools() -> list[str]:
    """The requirements of the browser tests that this machine lacks."""
    lacking = [] if shutil.which("chromium") else ["chromium"]
    if not sdk_is_here() and shutil.which("npm") is None:
        lacking.append("npm")
    return lacking


def sdk_is_here() -> bool:
    return all((SDK_HOME / "package" / name).is_file() for name in NEEDED)


def fetch_sdk() -> Path:
    """The unpacked package. npm checks what it loads against the registry's digest."""
    if not sdk_is_here():
        SDK_HOME.mkdir(parents=True, exist_ok=True)
        packed = subprocess.run(
            ["npm", "pack", SDK, "--silent", "--pack-destination", os.fspath(SDK_HOME)],
            check=True,
            capture_output=True,
            text=True,
            timeout=240,
            cwd=SDK_HOME,
        )
        with tarfile.open(SDK_HOME / packed.stdout.split()[-1]) as archive:
            archive.extractall(SDK_HOME, filter="data")
    return SDK_HOME / "package"


_TYPES = {".wasm": "application/wasm", ".js": "text/javascript"}
"""Fixed here, because a browser does not run a module with a wrong type from the machine's own table."""


class _Files(SimpleHTTPRequestHandler):
    def guess_type(self, path: str | os.PathLike[str]) -> str:
        return _TYPES.get(Path(path).suffix) or super().guess_type(path)

    def translate_path(self, path: str) -> str:
        path = urlsplit(path).path
        if path.startswith("/sdk/"):
            home, path = SDK_HOME / "package", path.removeprefix("/sdk/")
        else:
            home, path = PAGE_HOME, path.lstrip("/") or "index.html"
        found = (home / path).resolve()
        return os.fspath(found if found.is_relative_to(home) else home / "nothing")

    def log_message(self, format: str, *args: object) -> None:
        pass


class PageServer:
    """Serves the page and the SDK on a free port of the loopback."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Files))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="sdk page", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
