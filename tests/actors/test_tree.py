"""The files of `actors/` are a tree: none imports itself in a circle, not even for its types."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

ACTORS = Path(__file__).parents[2] / "actors"
RUNTIME = "greenroom.actors.runtime"
"""One thing in several files: a base, its cells and its directories know each other."""


def _module(name: str) -> str:
    return RUNTIME if name.startswith(RUNTIME) else name


def test_no_file_imports_itself_in_a_circle() -> None:
    files = {
        ".".join(("greenroom.actors", *path.relative_to(ACTORS).with_suffix("").parts)): path
        for path in ACTORS.rglob("*.py")
        if not path.name.endswith("_pb2.py")
    }
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                found = {node.module, *(f"{node.module}.{each.name}" for each in node.names)} & files.keys()
                graph.setdefault(_module(name), set()).update(map(_module, found))
    graph[RUNTIME].discard(RUNTIME)
    TopologicalSorter(graph).prepare()
