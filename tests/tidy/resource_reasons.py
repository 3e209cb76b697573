"""Every reason that a condition or an event of a resource gives, as the sources have it."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator

from tidy.imports import sources

WHERE = ("torpor_operator", "torpor_autoscaler")

PLACES = {
    "Finding": 2,
    "Shortcoming": 0,
    "Tell": 2,
    "tell": 1,
    "make": 0,
    "_false": 1,
}
"""By the name of what is called: which argument is the reason."""


def reasons() -> frozenset[str]:
    """Literals and constants; what is handed on (a failure's kind, a finding's reason) is not."""
    return frozenset(
        reason
        for module, tree in sources().items()
        if module.startswith(WHERE)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        for reason in _reason(node, module)
    )


def _reason(call: ast.Call, module: str) -> Iterator[str]:
    match call.func:
        case ast.Name(name) | ast.Attribute(_, name) if name in PLACES:
            place = PLACES[name]
            if len(call.args) > place:
                yield from _text(call.args[place], module)
        case ast.Name("Condition"):
            for keyword in call.keywords:
                if keyword.arg == "reason":
                    yield from _text(keyword.value, module)


def _text(expression: ast.expr, module: str) -> Iterator[str]:
    match expression:
        case ast.Constant(str(text)):
            yield text
        case ast.Name(name) if name.isupper():
            yield str(getattr(importlib.import_module(module), name))
        case ast.Attribute(ast.Name(owner), name) if name.isupper():
            yield str(getattr(getattr(importlib.import_module(module), owner), name))
