"""Asks again and again, beside the one who looks: neither waits for the other.

A whole fleet of ten thousand takes the autoscaler the better part of a second to tell. So it is
asked for at most a tenth of the time, and in between for the databases that are on the screen.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from torpor_api.failures import Failure
from torpor_cli.client import QUICK_SECONDS_MAX, Json
from torpor_cli.place import Place
from torpor_cli.top.frame import SESSIONS_SHOWN_MAX
from torpor_cli.top.view import Action, Seen
from torpor_cli.tree import fleet

EVERY_SECONDS = 1.0
"""Proxies tell the autoscaler once a second what sessions do."""

WHOLE_REST = 9.0
"""The whole fleet is asked for again after so many times as long as it took to be told."""

WAKES = ("resume", "failover")
"""What a person means who asks why the last wake took its time."""

ACTIONS_MAX = 100
"""That wait to be carried out, one after the other; a person does not type more."""


class Watcher:
    """What was told last is :attr:`seen`; ``told`` is called whenever that is new."""

    def __init__(self, place: Place, told: Callable[[], None]) -> None:
        self._place = place
        self._told = told
        self._rows: dict[str, Json] = {}
        self._seen = Seen()
        self._whole_at = 0.0
        self._whole_due_at = 0.0
        self._on_screen: tuple[str, ...] = ()
        self._opened = ""
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._actions: queue.Queue[Action] = queue.Queue(ACTIONS_MAX)
        self._poked = threading.Event()

    def start(self) -> None:
        """Threads that nobody waits for at the end: whoever quits has seen enough."""
        for work in (self._watch, self._act):
            threading.Thread(target=work, daemon=True).start()

    @property
    def seen(self) -> Seen:
        age_s = time.monotonic() - self._whole_at if self._whole_at else 0.0
        return replace(self._seen, age_s=age_s)

    def look_at(self, on_screen: Sequence[str], opened: str) -> None:
        """Those databases first; ``opened``: the one of which all is wanted, or empty."""
        is_news = opened != self._opened
        self._on_screen, self._opened = tuple(on_screen), opened
        if is_news:
            self._poked.set()

    def do(self, action: Action) -> None:
        """When those before it are done; :meth:`said` tells how it went."""
        try:
            self._actions.put_nowait(action)
        except queue.Full:
            self._said.put(
                f"{action.verb} {action.name}: {ACTIONS_MAX} others are to be done first"
            )

    def said(self) -> str:
        """How the last action went; empty: nothing new."""
        text = ""
        with contextlib.suppress(queue.Empty):
            while True:
                text = self._said.get_nowait()
        return text

    def look(self) -> None:
        """Once. Never raises: why nothing is known is seen."""
        try:
            now = time.monotonic()
            if now >= self._whole_due_at:
                self._look_at_all()
                took_s = time.monotonic() - now
                self._whole_at = time.monotonic()
                self._whole_due_at = self._whole_at + max(EVERY_SECONDS, took_s * WHOLE_REST)
            elif self._on_screen:
                rows = fleet.rows_named(self._place, list(self._on_screen))
                self._rows |= {row["name"]: row for row in rows}
            opened = all_about(self._place, self._opened) if self._opened else {}
            rows = list(self._rows.values())
            self._seen = replace(self._seen, rows=rows, opened=opened, failure="")
        except Failure as failure:
            self._seen = replace(self._seen, failure=failure.message)

    def _look_at_all(self) -> None:
        told = fleet.computes_of(self._place)
        self._rows = {row["name"]: row for row in fleet.rows_of(self._place)}
        self._seen = replace(self._seen, pools=told["pools"], computes=told["computes"])

    def _watch(self) -> None:
        while True:
            self.look()
            self._told()
            self._poked.wait(EVERY_SECONDS)
            self._poked.clear()

    def _act(self) -> None:
        while True:
            action = self._actions.get()
            self._said.put(_carried_out(self._place, action))
            self._poked.set()
            self._told()


def _carried_out(place: Place, action: Action) -> str:
    try:
        if action.verb == "suspend":
            place.ask_autoscaler("Suspend", name=action.name)
            return f"{action.name} is suspended"
        place.ask_autoscaler("Wake", name=action.name, cause="torpor top")
        return f"{action.name} is awake"
    except Failure as failure:
        return f"{action.verb} {action.name}: {failure.message}"


def all_about(place: Place, name: str) -> Json:
    """Of one that was deleted meanwhile, that it was."""

    def asked(request: str, **body: object) -> Json:
        return place.ask_autoscaler(request, timeout_s=QUICK_SECONDS_MAX, **body)

    try:
        wakes = asked("AskTransitions", database=name, kinds=WAKES, limit=1)["transitions"]
        return {
            "name": name,
            "wake": next(iter(wakes), None),
            "sessions": asked("Sessions", name=name, limit=SESSIONS_SHOWN_MAX),
            "why": asked("Why", name=name),
        }
    except Failure as failure:
        return {"name": name, "failure": failure.message}
