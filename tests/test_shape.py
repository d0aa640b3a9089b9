"""The shape of the house: packaging, import direction, public names, and what an import costs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tokenize
import tomllib
from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from greenroom.persistence.sqlite.writer_client import WRITER

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("persistence", "actors", "transport", "supervisor")
"""From the lowest to the highest: a room imports itself and what is lower."""
DRIVERS = (
    "httpx",
    "websockets",
    "httptools",
    "apsw",
    "sqlite3",
    "cyclopts",
    "uvloop",
    "google",
    "structlog",
    "rich",
)

UNWANTED = (
    "he", "him", "himself", "his", "she", "her", "hers", "herself",
    "anew", "under way", "for ever", "all the same", "of late", "no matter",
    "whoever", "nobody's", "whence", "whereof", "wherein", "thereof", "lest", "amid",
    "pass over", "passed over", "passes over", "passing over", "hear out", "heard out", "hears out",
    "forsake", "forsaken", "forsakes", "forsook", "unfold", "unfolded", "unfolding", "unfolds",
    "goodbye", "goodbyes", "mourner", "mourners", "news", "strain", "strained", "word of",
    "hears", "tell everybody", "what landed", "store's word",
    "truthfully", "next door", "half again", "give way", "gives way", "gave way", "deaf",
    "at most so many", "by so much", "so much silence", "laid flat", "ever new", "nobody lives",
    "hand out", "hands out", "handed out", "takes in", "by lot", "dial", "dials", "dialled",
)  # fmt: skip
"""Words that a reader of plain English stumbles over. They stay out of docstrings, comments and pages."""
GENERATED = "_pb2.py"


def _sources() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted((ROOT / room).rglob("*.py"))
    yield ROOT / "supervisor.py"


def _module(path: Path) -> str:
    parts = ("greenroom", *path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_packaging_lists_every_folder() -> None:
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    found = {_module(path) for room in ROOMS for path in (ROOT / room).rglob("__init__.py")} | {"greenroom"}
    assert sorted(listed) == sorted(found)
    with_sources = {path.parent for path in _sources()} - {ROOT}
    assert all((folder / "__init__.py").is_file() for folder in with_sources)


def test_python_files_at_the_root() -> None:
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "__main__.py", "supervisor.py"}


def test_imports_go_down() -> None:
    wrong = []
    for path in _sources():
        module = _module(path)
        rank = ROOMS.index(module.split(".")[1])
        for name in _imports(path):
            room = name.split(".")[1] if name.startswith("greenroom.") else ""
            if room in ROOMS[rank + 1 :]:
                wrong.append(f"{module} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_nothing_is_imported_relatively() -> None:
    for path in _sources():
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), path


@pytest.mark.parametrize("path", [pytest.param(path, id=_module(path)) for path in _sources()])
def test_public_names(path: Path) -> None:
    tree = ast.parse(path.read_text())
    if path.name.endswith("_pb2.py") or not any(not isinstance(node, ast.Expr) for node in tree.body):
        return
    if path.name == "__init__.py" and not any(isinstance(node, ast.ImportFrom) for node in tree.body[2:]):
        return
    names = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets)
    ]
    assert names, "no __all__"
    assert len(set(names[0])) == len(names[0])


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """The text of a page; the comments of settings; the docstrings (also of attributes) and comments of Python code.
    Each with its line."""
    if path.suffix == ".md":
        yield 1, path.read_text()
        return
    if path.suffix == ".toml":
        yield 1, " ".join(line.lstrip("# ") for line in path.read_text().splitlines() if line.startswith("#"))
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, node.value.value
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def test_plain_words() -> None:
    unwanted = re.compile(rf"\b(?:{'|'.join(UNWANTED)})\b", re.IGNORECASE)
    found = [
        f"{path.relative_to(ROOT)}:{line}: {word}"
        for path in (*_sources(), ROOT / "__main__.py", ROOT / "settings.toml", *sorted((ROOT / "docs").glob("*.md")))
        if not path.name.endswith(GENERATED)
        for line, text in _prose(path)
        for word in unwanted.findall(" ".join(text.split()))
    ]
    assert not found, "\n".join(found)


def test_no_class_name_twice() -> None:
    """Public classes of the product, but for those that protoc generates, which are named after OpenIM's messages."""
    names = Counter(
        node.name
        for path in _sources()
        if not path.name.endswith(GENERATED)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert not [name for name, count in names.items() if count > 1]


def test_no_file_name_twice() -> None:
    """But for the errors of each room, and the routes, which are named after OpenIM's services."""
    own = [path for path in _sources() if path.parent.name != "routes" and not path.name.endswith(GENERATED)]
    times = Counter(path.name for path in own)
    assert not [name for name, count in times.items() if count > 1 and name not in ("__init__.py", "errors.py")]


def _loaded(code: str, *flags: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after this code."""
    code += "\nimport sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], capture_output=True, text=True, check=True, timeout=50,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    return set(done.stdout.split())


def test_import_loads_no_driver() -> None:
    assert not set(DRIVERS) & _loaded("import greenroom")


def test_client_loads_only_its_own_driver() -> None:
    assert set(DRIVERS) & _loaded("import greenroom; greenroom.Client") == {"google", "websockets"}


def test_the_writer_process_loads_only_what_it_writes_with() -> None:
    loaded = _loaded(f"import {WRITER}")
    assert set(DRIVERS) & loaded == {"apsw"}
    assert not {"asyncio", "logging", "ssl"} & loaded


def test_settings_are_packaged() -> None:
    assert files("greenroom").joinpath("settings.toml").is_file()
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "settings.toml" in data["greenroom"]
