"""Modules: no cycle, none that nobody uses, none that is too long to be read."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator

from tidy.imports import cycles, import_graph, mentioned_in_text, sources
from tidy.tree import ROOT, files_named, shown
from torpor_cli.main import VERBS

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
"""Where the good codebases end; most of ours are far below. A longer one wants to be two."""


def test_no_modules_import_each_other() -> None:
    assert cycles(import_graph()) == []


def test_a_cycle_would_be_found() -> None:
    graph = {"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("a"), "d": frozenset("a")}
    assert cycles(graph) == [["a", "b", "c"]]


def test_no_module_is_dead() -> None:
    """Dead: nobody imports it, it is no entry point and no verb. Tests alone don't keep one."""
    graph = import_graph()
    packages = {module for module in graph if any(m.startswith(f"{module}.") for m in graph)}
    used = frozenset[str]().union(*graph.values()) | mentioned_in_text() | _entry_points()
    dead = {module for module in set(graph) - packages - used if not module.endswith("__main__")}
    assert sorted(dead) == []


def test_no_file_is_too_long() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in files_named(".py")}
    too_long = {name: lines for name, lines in lengths.items() if lines > FILE_LINES_MAX}
    assert too_long == {}


def test_no_function_is_too_long() -> None:
    too_long = {
        f"{shown(path)}:{function.name}": lines
        for path in files_named(".py")
        for function, lines in _functions(ast.parse(path.read_text()))
        if lines > FUNCTION_LINES_MAX
    }
    assert too_long == {}


def test_every_module_says_what_it_is_for() -> None:
    assert [module for module, tree in sources().items() if not ast.get_docstring(tree)] == []


def _functions(tree: ast.Module) -> Iterator[tuple[ast.FunctionDef | ast.AsyncFunctionDef, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node, (node.end_lineno or node.lineno) - node.lineno + 1


def _entry_points() -> frozenset[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    scripts = {target.split(":")[0] for target in project["scripts"].values()}
    return frozenset(scripts | {f"torpor_cli.verbs.{v.replace('-', '_')}_verb" for v in VERBS})
