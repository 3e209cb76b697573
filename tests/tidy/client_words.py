"""What Torpor itself says to clients of a database, as the sources have it."""

from __future__ import annotations

import ast
import functools
from collections import defaultdict
from collections.abc import Collection, Iterator
from pathlib import Path

from tidy.tree import ROOT, files_named, shown
from torpor_proxy.core.refusals import Refusal, Report

REFUSALS = "proxy/torpor_proxy/core/refusals.py"

ANYTHING = "…"
"""In a message: what differs from time to time."""


def kinds_of_report() -> dict[str, type[Report]]:
    """Each class whose words reach a client of a database. What the operator console says of its
    statements stands in docs/console.md."""
    found: dict[str, type[Report]] = {}
    waiting: list[type[Report]] = [Report]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting += kind.__subclasses__()
    del found[Report.__name__], found[Refusal.__name__]
    return {name: kind for name, kind in found.items() if kind.__module__ == Report.__module__}


@functools.cache
def messages() -> dict[str, frozenset[str]]:
    """By class: where it says its own words once for all, or wherever one is made."""
    said: dict[str, set[str]] = defaultdict(set)
    for path in _sources():
        tree = ast.parse(path.read_text())
        if shown(path) == REFUSALS:
            for node in tree.body:
                if isinstance(node, ast.ClassDef):
                    said[node.name] |= set(_own_words(node))
    has_own = {name for name, words in said.items() if words}
    elsewhere = kinds_of_report().keys() - has_own
    for path in _sources():
        for name, words in _made_in(ast.parse(path.read_text()), elsewhere):
            said[name].add(words)
    return {name: frozenset(_without_needless(said[name])) for name in kinds_of_report()}


def reports_made_elsewhere() -> list[str]:
    """Where a report is made that is of no class."""
    return [
        f"{shown(path)}:{node.lineno}"
        for path in _sources()
        if shown(path) != REFUSALS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "report"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "wire"
    ]


def patterns(words: ast.expr, function: ast.AST) -> Iterator[str]:
    """Each text that an expression may stand for, with ANYTHING in the place of what differs."""
    match words:
        case ast.Constant(str(text)):
            yield text
        case ast.JoinedStr(parts):
            texts = [p.value if isinstance(p, ast.Constant) else ANYTHING for p in parts]
            yield "".join(map(str, texts))
        case ast.IfExp(_, first, second):
            yield from patterns(first, function)
            yield from patterns(second, function)
        case ast.Name(name) if assigned := _assigned(name, function):
            for each in assigned:
                yield from patterns(each, function)
        case _:
            yield ANYTHING


def _assigned(name: str, function: ast.AST) -> list[ast.expr]:
    """Without what is made of what it was before: that has no end."""
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)
        and not any(isinstance(of, ast.Name) and of.id == name for of in ast.walk(node.value))
    ]


def _own_words(kind: ast.ClassDef) -> Iterator[str]:
    for function in kind.body:
        if not isinstance(function, ast.FunctionDef) or function.name != "__init__":
            continue
        if kind.name in (Report.__name__, Refusal.__name__):
            continue
        for node in ast.walk(function):
            match node:
                case ast.Call(ast.Attribute(ast.Call(ast.Name("super")), "__init__"), [words, *_]):
                    yield from patterns(words, function)
                case ast.Assign([ast.Attribute(ast.Name("self"), "message")], words):
                    yield from patterns(words, function)


def _made_in(tree: ast.Module, kinds: Collection[str]) -> Iterator[tuple[str, str]]:
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for function in functions:
        for node in ast.walk(function):
            match node:
                case ast.Call(ast.Name(name), [words, *_]) if name in kinds:
                    for each in patterns(words, function):
                        yield name, each


def _without_needless(words: set[str]) -> set[str]:
    """That a message may be anything says nothing beside what it is."""
    return words - {ANYTHING} or words


def _sources() -> list[Path]:
    folder = str(ROOT / "proxy")
    return [path for path in files_named(".py") if str(path).startswith(folder)]
