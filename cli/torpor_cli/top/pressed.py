"""What each key does to what is looked at. Pure: a view and a key in, the next view out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torpor_cli.client import Json
from torpor_cli.top.view import (
    FILTER_CHARACTERS_MAX,
    Action,
    Page,
    Sort,
    View,
    in_order,
    index_of,
)

KEYS = (
    ("j k ↓ ↑", "one database down, up; a line where a database is looked at"),
    ("PgDn PgUp", "a screen down, up"),
    ("g G", "to the first, to the last"),
    ("Enter", "look at the database: its last wake, its sessions, why it is awake"),
    ("< >", "order by the column to the left, to the right"),
    ("i", "the other way round"),
    ("/", "only names and phases that have this in them; Esc: all again"),
    ("s r", "suspend, resume the database; you are asked before"),
    ("?", "this page"),
    ("q Esc", "back, and from the fleet to the shell"),
)
"""For people."""


class Quit(Exception):
    """The person has seen enough."""


def pressed(
    view: View, key: str, rows: Sequence[Json], screenful: int
) -> tuple[View, Action | None]:
    """The next view, and what is to be done now. Raises Quit.

    ``screenful``: lines of a page.
    """
    if view.asks is not None:
        agreed = view.asks if key in ("y", "enter") else None
        says = f"{agreed.verb} {agreed.name} …" if agreed else "nothing is done"
        return replace(view, asks=None, says=says), agreed
    if view.is_typing:
        return _typed(view, key), None
    view = replace(view, says="")
    if key in ("q", "escape"):
        return _back(view), None
    if key == "?":
        return replace(view, page=Page.HELP, first=0), None
    if view.page is Page.FLEET:
        return _in_fleet(view, key, rows, screenful), None
    if view.page is Page.DATABASE and key in ("s", "r"):
        return _asking(view, key, view.selected), None
    return _scrolled(view, key, screenful), None


def _typed(view: View, key: str) -> View:
    if key == "enter":
        return replace(view, is_typing=False)
    if key == "escape":
        return replace(view, is_typing=False, filter="")
    if key == "backspace":
        return replace(view, filter=view.filter[:-1])
    if len(key) == 1:
        return replace(view, filter=(view.filter + key)[:FILTER_CHARACTERS_MAX])
    return view


def _back(view: View) -> View:
    if view.page is not Page.FLEET:
        return replace(view, page=Page.FLEET, first=0)
    if view.filter:
        return replace(view, filter="")
    raise Quit


def _in_fleet(view: View, key: str, rows: Sequence[Json], screenful: int) -> View:
    shown = in_order(rows, view)
    at = index_of(shown, view.selected)
    if (moved := _moved(at, key, screenful)) is not None:
        at = min(max(moved, 0), len(shown) - 1)
        return replace(view, selected=shown[at]["name"]) if shown else view
    match key:
        case "<" | ">" | "left" | "right":
            every = list(Sort)
            step = 1 if key in (">", "right") else -1
            return replace(view, sort=every[(every.index(view.sort) + step) % len(every)])
        case "i":
            return replace(view, is_reversed=not view.is_reversed)
        case "/":
            return replace(view, is_typing=True)
    if shown and key == "enter":
        return replace(view, page=Page.DATABASE, selected=shown[at]["name"], first=0)
    if shown and key in ("s", "r"):
        return _asking(view, key, shown[at]["name"])
    return view


def _asking(view: View, key: str, name: str) -> View:
    return replace(view, selected=name, asks=Action("suspend" if key == "s" else "resume", name))


def _scrolled(view: View, key: str, screenful: int) -> View:
    moved = _moved(view.first, key, screenful)
    return view if moved is None else replace(view, first=max(moved, 0))


def _moved(at: int, key: str, screenful: int) -> int | None:
    """Where that key leads; None: nowhere."""
    far = 1 << 30
    steps = {
        "j": 1,
        "down": 1,
        "k": -1,
        "up": -1,
        "page down": screenful,
        "page up": -screenful,
        " ": screenful,
        "g": -far,
        "home": -far,
        "G": far,
        "end": far,
    }
    return at + steps[key] if key in steps else None
