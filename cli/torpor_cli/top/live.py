"""The loop: look, draw, hear keys."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from torpor_cli.place import Place
from torpor_cli.top.frame import frame, screenful
from torpor_cli.top.keys import keys
from torpor_cli.top.pressed import Quit, pressed
from torpor_cli.top.terminal import Terminal
from torpor_cli.top.view import Page, Seen, View, in_order, index_of
from torpor_cli.top.watcher import Watcher

DRAW_EVERY_SECONDS = 1.0
"""Ages grow also where nothing happens."""


def live(place: Place, view: View) -> None:
    """Until the person quits."""
    with Terminal() as terminal:
        watcher = Watcher(place, terminal.wake)
        watcher.start()
        try:
            while True:
                view = _turn(terminal, watcher, view)
        except (Quit, KeyboardInterrupt, EOFError):
            return


def _turn(terminal: Terminal, watcher: Watcher, view: View) -> View:
    width, height = terminal.size
    seen = watcher.seen
    if says := watcher.said():
        view = replace(view, says=says)
    watcher.look_at(on_screen(view, seen, height), _opened(view))
    terminal.draw(frame(view, seen, width, height, datetime.now(UTC)))
    for key in keys(terminal.keys(DRAW_EVERY_SECONDS)):
        view, action = pressed(view, key, seen.rows, screenful(height))
        if action is not None:
            watcher.do(action)
    return view


def on_screen(view: View, seen: Seen, height: int) -> list[str]:
    """The names of those that are drawn, and of some around them."""
    rows = in_order(seen.rows, view)
    at, most = index_of(rows, view.selected), screenful(height)
    return [row["name"] for row in rows[max(0, at - most) : at + most]]


def _opened(view: View) -> str:
    return view.selected if view.page is Page.DATABASE else ""
