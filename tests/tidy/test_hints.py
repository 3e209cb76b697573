"""A command of ours in a hint stands in backquotes: by these the command line completes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tidy.imports import sources
from torpor_api.failures import Failure
from torpor_cli.main import VERBS

BARE = re.compile(rf"(?<!`)\btorpor ({'|'.join(VERBS)})\b")
"""Behind a backquote it is marked; `kubectl torpor` and the like have one before them, too."""


def hints(module: ast.Module) -> Iterator[tuple[int, str]]:
    """With their lines: what is called so, and what stands second in a failure."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            named = [one.value for one in node.keywords if one.arg == "hint"]
            called = node.func.id if isinstance(node.func, ast.Name) else ""
            second = node.args[1:2] if called in Failure.by_kind else []
            for value in (*named, *second):
                yield value.lineno, text_of(value)
        elif isinstance(node, ast.Assign):
            names = [one.id.lower() for one in node.targets if isinstance(one, ast.Name)]
            if any("hint" in name for name in names):
                yield node.lineno, text_of(node.value)


def text_of(value: ast.expr) -> str:
    """Of a string with expressions in it, what stands there for certain."""
    parts = (node.value for node in ast.walk(value) if isinstance(node, ast.Constant))
    return "".join(str(part) for part in parts)


def test_commands_in_hints_are_marked() -> None:
    bare = [
        f"{name}, line {line}: {text}"
        for name, module in sources().items()
        for line, text in hints(module)
        if BARE.search(text)
    ]
    assert bare == []


def test_one_that_is_not_marked_is_found() -> None:
    source = 'raise NotFound("no", hint=f"see torpor why {name}")\nHINT = "`torpor list`"\n'
    found = sorted(hints(ast.parse(source)))
    assert [bool(BARE.search(text)) for _, text in found] == [True, False]
