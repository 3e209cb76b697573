"""Every call that writes into the log, as the sources have it: event, levels, fields."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tidy.tree import PACKAGE_FOLDERS, ROOT, files_named, shown

LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
}
"""By the method of a logger."""

NOTES = {"note": "info", "warn": "warning", "alarm": "error"}
"""By the function of the autoscaler's core that says something of a database; its shell logs it."""

NOTED_KEYS = frozenset(("database", "epoch", "compute"))

ALL = ("proxy", "autoscaler", "agent", "operator", "supervisor")

COMPONENTS_OF = {
    "torpor_proxy": ("proxy",),
    "torpor_autoscaler": ("autoscaler",),
    "torpor_compute": ("agent",),
    "torpor_volume": ("agent", "supervisor"),
    "torpor_operator": ("operator",),
    "torpor_cli": ("supervisor",),
    "torpor_kube": ("autoscaler", "operator"),
    "torpor_channel": ALL,
    "torpor_api": ALL,
}
"""In whose log a package's lines are."""

LOG_KEYS = {
    "proxy/torpor_proxy/executor/opening.py": ("client", "database", "user"),
    "proxy/torpor_proxy/executor/listener": ("database", "dbname"),
    "proxy/": ("database", "session", "epoch"),
    "autoscaler/": ("database", "epoch", "compute"),
    "operator/torpor_operator/": ("target", "database"),
    "operator/torpor_kube/": ("kind", "object", "database"),
}
"""What ``log_keys`` of the objects stands for that are told of there; the first prefix counts."""

SHELL_OF_NOTES = "autoscaler/torpor_autoscaler/executor.py"
"""The one place whose event is no literal: the core has said it."""


@dataclass(frozen=True, slots=True)
class LogCall:
    """One call; what is not written down where it stands is a fault."""

    place: str
    event: str
    levels: frozenset[str]
    fields: frozenset[str]
    components: tuple[str, ...]
    faults: tuple[str, ...] = ()


def log_calls() -> list[LogCall]:
    """All of the product."""
    tops = tuple(str(ROOT / folder) for folder in PACKAGE_FOLDERS)
    sources = [path for path in files_named(".py") if str(path).startswith(tops)]
    return [call for path in sources for call in calls_in(path.read_text(), shown(path))]


def calls_in(source: str, path: str) -> Iterator[LogCall]:
    """Of one file, whose path says in whose log they are."""
    tree = ast.parse(source)
    inner = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    for function in [tree, *inner]:
        for node in _own_nodes(function):
            if isinstance(node, ast.Call):
                yield from _Reading(function, path).of(node)


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """Without those of functions within it."""
    for child in ast.iter_child_nodes(function):
        if not isinstance(child, _FUNCTIONS):
            yield child
            yield from _own_nodes(child)


class _Reading:
    """Of calls in one function."""

    def __init__(self, function: ast.AST, path: str) -> None:
        self._function = function
        self._path = path
        self._faults: list[str] = []

    def of(self, call: ast.Call) -> Iterator[LogCall]:
        match call.func:
            case ast.Attribute(ast.Name("log"), "log") if self._path != SHELL_OF_NOTES:
                level, event, *rest = call.args
                yield self._log_call(call, event, rest, self._chosen_levels(level))
            case ast.Attribute(ast.Name("log"), method) if method in LEVELS:
                event, *rest = call.args
                yield self._log_call(call, event, rest, frozenset({LEVELS[method]}))
            case ast.Attribute(ast.Name("outcomes"), name) | ast.Name(name) if name in NOTES:
                if len(call.args) == 2 and self._path.startswith("autoscaler/"):
                    fields = frozenset(each.arg or "**" for each in call.keywords) | NOTED_KEYS
                    yield self._made(call, call.args[1], frozenset({NOTES[name]}), fields)

    def _log_call(
        self, call: ast.Call, event: ast.expr, rest: list[ast.expr], levels: frozenset[str]
    ) -> LogCall:
        if rest:
            self._faults.append("has arguments for a format")
        extra = [keyword.value for keyword in call.keywords if keyword.arg == "extra"]
        fields = frozenset(name for each in extra for name in self._keys(each))
        return self._made(call, event, levels, fields)

    def _made(
        self, call: ast.Call, event: ast.expr, levels: frozenset[str], fields: frozenset[str]
    ) -> LogCall:
        is_literal = isinstance(event, ast.Constant) and isinstance(event.value, str)
        name = event.value if isinstance(event, ast.Constant) else ast.unparse(event)
        if not is_literal:
            self._faults.append("the event is no literal")
        package = Path(self._path).parts[1]
        place = f"{self._path}:{call.lineno}"
        faults = tuple(self._faults)
        return LogCall(place, str(name), levels, fields, COMPONENTS_OF[package], faults)

    def _chosen_levels(self, level: ast.expr) -> frozenset[str]:
        """Of ``log.log``: one level or the other."""
        match self._value_of(level):
            case ast.IfExp(_, first, second):
                return self._chosen_levels(first) | self._chosen_levels(second)
            case ast.Attribute(ast.Name("logging"), name):
                return frozenset({name.lower()})
        self._faults.append("its levels can't be seen")
        return frozenset()

    def _keys(self, extra: ast.expr) -> Iterator[str]:
        match self._value_of(extra):
            case ast.Dict(keys, values):
                for key, value in zip(keys, values, strict=True):
                    if key is None:
                        yield from self._keys(value)
                    elif isinstance(key, ast.Constant):
                        yield str(key.value)
                    else:
                        self._faults.append(f"the field {ast.unparse(key)} is no literal")
            case ast.Attribute(attr="log_keys") | ast.Call(
                ast.Attribute(attr="log_keys") | ast.Name("log_keys")
            ):
                prefixes = (each for each in LOG_KEYS if self._path.startswith(each))
                yield from LOG_KEYS[next(prefixes)]
            case other:
                self._faults.append(f"the fields of {ast.unparse(other)} can't be seen")

    def _value_of(self, expression: ast.expr) -> ast.expr:
        """What a name stands for, where the function assigns it."""
        if not isinstance(expression, ast.Name):
            return expression
        assigned = [
            node.value
            for node in ast.walk(self._function)
            if isinstance(node, ast.Assign)
            and node.lineno < expression.lineno
            and any(isinstance(to, ast.Name) and to.id == expression.id for to in node.targets)
        ]
        return assigned[-1] if assigned else expression
