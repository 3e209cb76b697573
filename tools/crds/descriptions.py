"""What a model's docstrings say: of the class, and below each field. For ``kubectl explain``.

Read from the source, because Python itself keeps no docstring of a field.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap

from pydantic import BaseModel


def of_class(model: type[BaseModel]) -> str:
    """The first paragraph of its docstring, which says what it is."""
    return _plain((model.__doc__ or "").strip().split("\n\n")[0])


def of_fields(model: type[BaseModel]) -> dict[str, str]:
    """By the field's name in Python; inherited ones too, where the heir says nothing else."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            found |= _in_body_of(base)
    return found


def _in_body_of(model: type[BaseModel]) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: _plain(text.value.value)
        for field, text in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _plain(text: str) -> str:
    """In one line, without the marks of reStructuredText, ending like a sentence."""
    return " ".join(text.replace("``", "`").split())
