"""Nodes of one kind as a table, and one of them as a list of facts. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torpor_cli.client import Json
from torpor_cli.output import age, printable, shortened, table
from torpor_cli.tree.forest import session_node
from torpor_cli.tree.node import Kind, Node, pool_name

REASON_CHARACTERS_MAX = 60
"""In a table; a node by itself has it whole."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A node, and what was told of it."""

    node: Node
    told: Json


def listed(kind: Kind, rows: Sequence[Json], proxies: Sequence[str] = ()) -> list[Listed]:
    """``proxies``: all of the place, by which sessions are named."""

    def node_of(row: Json) -> Node:
        match kind:
            case Kind.COMPUTE:
                return Node(kind, row["compute"])
            case Kind.POOL:
                return Node(kind, pool_name(row["name"]))
            case Kind.SESSION:
                return session_node(row, proxies)
            case _:
                return Node(kind, row["name"])

    return [Listed(node_of(row), row) for row in rows]


def as_table(kind: Kind, nodes: Sequence[Listed], *, is_wide: bool = False) -> str:
    """One line each."""
    columns = _COLUMNS[kind]
    shown = [column for column in columns if is_wide or not column.is_wide]
    right = [index for index, column in enumerate(shown) if column.is_number]
    rows = [[column.in_a_row(each) for column in shown] for each in nodes]
    return table([column.title for column in shown], rows, right=right)


def as_facts(kind: Kind, node: Listed) -> str:
    """Everything about one, a line each; what is not known is left out."""
    facts = [(_in_words(column.title), column.cell(node)) for column in _COLUMNS[kind]]
    told = [(title, printable(text)) for title, text in facts if text not in ("", "-")]
    width = max(len(title) for title, _ in told) + 1
    return "\n".join(f"{title + ':':<{width}}  {text}" for title, text in told)


def _in_words(title: str) -> str:
    return title if title == "CU" else title.capitalize()


def bytes_in_words(number: int | None) -> str:
    """``52.4 MiB``."""
    if number is None:
        return "-"
    size = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    cell: Callable[[Listed], str]
    is_number: bool = False
    is_wide: bool = False
    """Only where more columns are wanted."""
    characters_max: int | None = None
    """In a table; None: all."""

    def in_a_row(self, node: Listed) -> str:
        text = printable(self.cell(node))
        return text if self.characters_max is None else shortened(text, self.characters_max)


def _field(title: str, key: str, *, is_number: bool = False, is_wide: bool = False) -> _Column:
    def cell(node: Listed) -> str:
        value = node.told.get(key)
        return "-" if value is None or value == "" else str(value)

    return _Column(title, cell, is_number, is_wide)


def _reason(key: str) -> _Column:
    return _Column("REASON", lambda node: str(node.told[key]), characters_max=REASON_CHARACTERS_MAX)


def _cu(node: Listed) -> str:
    return "-" if node.told["cu"] is None else f"{float(node.told['cu']):g}"


def _named(node: Listed) -> str:
    return node.node.name


def _pool(node: Listed) -> str:
    return pool_name(node.told["pool"])


_COLUMNS: dict[Kind, tuple[_Column, ...]] = {
    Kind.POOL: (
        _Column("POOL", _named),
        _field("WANTED", "wanted", is_number=True),
        _field("WARM", "warm", is_number=True),
        _field("CLAIMED", "claimed", is_number=True),
        _field("WAITING", "waiting", is_number=True),
        _reason("why"),
    ),
    Kind.COMPUTE: (
        _Column("COMPUTE", _named),
        _field("STATE", "state"),
        _Column("POOL", _pool),
        _field("DATABASE", "database"),
        _field("EPOCH", "epoch", is_number=True),
        _Column("CU", _cu, is_number=True),
        _field("NODE", "node", is_wide=True),
        _Column("OUTDATED", lambda n: "yes" if n.told["is_outdated"] else "-", is_wide=True),
    ),
    Kind.VOLUME: (
        _Column("VOLUME", _named),
        _Column("DATABASE", lambda n: n.told["database"] or "(deleted, its data is kept)"),
        _Column("SIZE", lambda n: bytes_in_words(n.told["bytes"]), is_number=True, is_wide=True),
        _field("CLAIM", "claim"),
        _field("DIRECTORY", "directory", is_wide=True),
    ),
    Kind.SESSION: (
        _Column("SESSION", _named),
        _field("ENDPOINT", "database"),
        _field("USER", "user"),
        _field("DATABASE", "dbname"),
        _field("APPLICATION", "application"),
        _field("CLIENT", "client"),
        _field("STATE", "state"),
        _Column("SINCE", lambda node: age(node.told["since_s"])),
        _field("PROXY", "proxy", is_wide=True),
        _field("PROCESS ID", "process_id", is_number=True, is_wide=True),
        _field("BACKEND", "backend_process_id", is_number=True, is_wide=True),
        _reason("reason"),
    ),
}
"""Of databases the resources themselves are shown: :mod:`torpor_cli.output`."""
