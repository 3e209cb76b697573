"""A forest as lines, and as JSON. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torpor_cli.client import Json
from torpor_cli.tree.forest import Branch


@dataclass(frozen=True, slots=True)
class Strokes:
    """What trees are drawn with."""

    fork: str
    last: str
    down: str
    none: str
    more: str


UNICODE = Strokes(fork="├─ ", last="└─ ", down="│  ", none="   ", more="…")
ASCII = Strokes(fork="|- ", last="`- ", down="|  ", none="   ", more="...")


def strokes_for(encoding: str | None) -> Strokes:
    """Those that a stream of this encoding can show."""
    try:
        "".join((UNICODE.fork, UNICODE.last, UNICODE.down, UNICODE.more)).encode(encoding or "")
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return UNICODE


def lines(roots: Sequence[Branch], strokes: Strokes) -> Iterator[str]:
    """One a node, and one for each sort of nodes that is left out."""
    for root in roots:
        yield _line(root)
        yield from _below(root, "", strokes)


def as_json(branch: Branch) -> Json:
    """``kind``, ``name``, what was told of it, and ``children``."""
    made: Json = {"kind": str(branch.node.kind), "name": branch.node.name}
    made |= {key: value for key, value in branch.data.items() if key not in ("kind", "name")}
    made["children"] = [as_json(each) for each in branch.branches]
    if branch.left_out:
        made["leftOut"] = list(branch.left_out)
    return made


def _below(branch: Branch, lead: str, strokes: Strokes) -> Iterator[str]:
    last = len(branch.branches) + len(branch.left_out) - 1
    for index, each in enumerate(branch.branches):
        is_last = index == last
        yield f"{lead}{strokes.last if is_last else strokes.fork}{_line(each)}"
        yield from _below(each, lead + (strokes.none if is_last else strokes.down), strokes)
    for index, text in enumerate(branch.left_out, len(branch.branches)):
        yield f"{lead}{strokes.last if index == last else strokes.fork}{strokes.more} {text}"


def _line(branch: Branch) -> str:
    return f"{branch.node}  {branch.words}".rstrip()
