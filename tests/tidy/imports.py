"""Which module of ours names which, read from the sources without importing them."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator

from tidy.tree import PACKAGE_FOLDERS, ROOT, files_named, module_of

Graph = dict[str, frozenset[str]]


@functools.cache
def sources() -> dict[str, ast.Module]:
    """Every module of the packages, parsed."""
    return {
        module_of(path): ast.parse(path.read_text())
        for path in files_named(".py")
        if path.relative_to(ROOT).parts[0] in PACKAGE_FOLDERS
    }


def import_graph() -> Graph:
    """Imports of any kind, in functions and for types alike: each ties two modules together."""
    known = frozenset(sources())
    return {
        module: frozenset(_imported(module, tree, known)) - {module}
        for module, tree in sources().items()
    }


def mentioned_in_text() -> frozenset[str]:
    """Modules that are named in a string, as ``-m`` and importlib want it."""
    return frozenset(
        node.value
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ) & frozenset(sources())


def cycles(graph: Graph) -> list[list[str]]:
    """Groups of modules that import each other, directly or by a detour; none is best."""
    reached = {module: _reached_from(module, graph) for module in graph}
    groups = {
        tuple(sorted(b for b in reached[a] if a in reached[b])) for a in graph if a in reached[a]
    }
    return [list(group) for group in sorted(groups)]


def _reached_from(start: str, graph: Graph) -> frozenset[str]:
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.add(module)
            waiting += graph[module]
    return frozenset(seen)


def _imported(module: str, tree: ast.Module, known: frozenset[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: imports are written out, not relative"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in known:
                    yield inner
                elif node.module in known:
                    yield node.module
