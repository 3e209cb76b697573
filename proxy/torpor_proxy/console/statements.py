"""What a statement turns out to be, once it is read. Pure.

Beside its own commands the console takes what drivers and their pools send of themselves: BEGIN and
COMMIT, SET and RESET, ``SELECT 1``. None of it changes anything but the transaction's status.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import TypeAlias

from torpor_proxy.console.values import Column, Row, Type
from torpor_proxy.console.verbs import Verb


@dataclass(frozen=True, slots=True)
class Parameter:
    """``$1`` in the place of a name or of a size; counted from 1."""

    number: int


@dataclass(frozen=True, slots=True)
class Command:
    """One of the console's own."""

    verb: Verb
    name: str | Parameter | None = None
    """An endpoint name in its one spelling."""
    size: Decimal | Parameter | None = None
    """Compute units."""


@dataclass(frozen=True, slots=True)
class Setting:
    """``SHOW`` of what the client was told when it logged in."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A SELECT whose answer is always the same."""

    columns: tuple[Column, ...]
    row: Row


@dataclass(frozen=True, slots=True)
class Forget:
    """Of prepared statements, by name; None: all."""

    tag: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Ignored:
    """Accepted, and without effect."""

    tag: str


class Transaction(Enum):
    """Nothing is rolled back: what would have to be is not accepted inside of one."""

    BEGIN = "BEGIN"
    COMMIT = "COMMIT"
    ROLLBACK = "ROLLBACK"


Statement: TypeAlias = Command | Setting | Constant | Forget | Ignored | Transaction


def columns_of(statement: Statement) -> tuple[Column, ...]:
    """None: it answers no rows."""
    match statement:
        case Command(verb):
            return verb.columns
        case Setting(name):
            return (Column(name, Type.TEXT),)
        case Constant(columns):
            return columns
        case _:
            return ()


def tag_of(statement: Statement) -> str:
    """Of its CommandComplete, where all went well."""
    match statement:
        case Command(verb):
            return verb.tag
        case Setting():
            return "SHOW"
        case Constant():
            return "SELECT 1"
        case Forget(tag) | Ignored(tag):
            return tag
        case Transaction():
            return str(statement.value)


def parameters_of(statement: Statement) -> tuple[Type, ...]:
    """The types of ``$1``, ``$2`` and so on; of one that is left out: text, as Postgres has it."""
    if not isinstance(statement, Command):
        return ()
    types: dict[int, Type] = {}
    if isinstance(statement.name, Parameter):
        types[statement.name.number] = Type.TEXT
    if isinstance(statement.size, Parameter):
        types[statement.size.number] = Type.FLOAT8
    return tuple(types.get(number, Type.TEXT) for number in range(1, max(types, default=0) + 1))
