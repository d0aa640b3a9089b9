"""docs/security.md: its rows, the tests that it names, and what it says of the product's own code."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIREMENTS = 70
"""Number of requirements of level 1 in ASVS 5.0.0."""
ROW = re.compile(r"\| V(\d+)\.(\d+)\.(\d+) \| [^|]+ \| (held|not applicable|open): ([^|]+) \|")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen", "create_subprocess_shell"}
UNSAFE_MODULES = {"marshal", "pickle", "shelve", "xml", "yaml"}


def _rows() -> list[re.Match[str]]:
    lines = [line for line in (ROOT / "docs/security.md").read_text().splitlines() if line.startswith("| V")]
    rows = [ROW.fullmatch(line) for line in lines]
    assert None not in rows, lines[rows.index(None)]
    return [row for row in rows if row is not None]


def test_rows() -> None:
    numbers = [tuple(map(int, row.groups()[:3])) for row in _rows()]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == REQUIREMENTS
    states = [row[4] for row in _rows()]
    page = " ".join((ROOT / "docs/security.md").read_text().split())
    assert (
        f"Of {len(states)} requirements {states.count('held')} are held, "
        f"{states.count('not applicable')} are not applicable and {states.count('open')} are open." in page
    )


def test_each_test_exists() -> None:
    missing = []
    for row in _rows():
        named = TEST.findall(row[5])
        assert bool(named) == (row[4] == "held"), row[0]
        for path, name in named:
            file = ROOT / path
            if not file.is_file() or not re.search(rf"^(async )?def {name}\(", file.read_text(), re.MULTILINE):
                missing.append(f"{path}::{name}")
    assert not missing, "\n".join(missing)


def test_no_code_from_text() -> None:
    """The product runs no text as code and no command in a shell, reads no pickles and no XML, and signs nothing with
    a broken hash."""
    rooms = [path for room in ("persistence", "actors", "transport") for path in (ROOT / room).rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (*rooms, ROOT / "supervisor.py", ROOT / "__main__.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call | ast.Import | ast.ImportFrom) and _is_unsafe(node)
    ]
    assert not found, "\n".join(found)


def _is_unsafe(node: ast.Call | ast.Import | ast.ImportFrom) -> bool:
    if isinstance(node, ast.Import):
        return any(alias.name.partition(".")[0] in UNSAFE_MODULES for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return (node.module or "").partition(".")[0] in UNSAFE_MODULES
    called = ast.unparse(node.func)
    keywords = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if called in ("hashlib.md5", "hashlib.sha1"):
        return keywords.get("usedforsecurity") != "False"
    return called != "re.compile" and (called.rpartition(".")[2] in UNSAFE_CALLS or "shell" in keywords)
