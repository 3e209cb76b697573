"""A made-up fleet behind the ports that the dashboard asks: as many databases as a test wants.

The same number of databases are always the same ones. ``checkout`` has woken most often, and its
last wake took its time because Postgres had to recover.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import Any

from torpor_api import messages as m
from torpor_api.failures import Busy, NotFound, Refused
from torpor_api.messages.autoscaler import SessionStanding
from torpor_api.phases import Phase
from torpor_api.transition import Span, Transition, TransitionKind, with_slack
from torpor_autoscaler.lifecycle.times import timestamp

BUSIEST = "checkout"
PINNED = "ledger"
"""A session of it forbids every suspend."""

NAMES = (
    *("checkout", "ledger", "analytics", "catalog", "search", "billing", "invoices", "sessions"),
    *("inventory", "wiki", "metrics-eu", "staging", "reports", "crm", "payroll", "telemetry"),
    *("preview-1204", "preview-1207", "preview-1211", "warehouse", "auth", "newsletter", "support"),
)

SIZES = tuple(Decimal(size) for size in ("0.25", "0.5", "1", "2", "4", "8"))

NO_SIZE = Decimal("0.25")

WAKE = (
    *((0, "locate storage", "autoscaler", 0.0, 1.4), (0, "claim", "autoscaler", 1.4, 4.6)),
    *(
        (1, "write the record", "cluster", 1.6, 4.1),
        (0, "tell the agent", "autoscaler", 6.0, 148.0),
    ),
    *((1, "start the compute", "agent", 6.2, 147.4), (2, "ownership record", "agent", 6.5, 3.1)),
    *(
        (2, "start of postgres", "postgres", 9.6, 24.2),
        (2, "crash recovery", "postgres", 33.8, 118.6),
    ),
    (0, "parked sessions are heard for", "proxy", 154.0, 9.0),
    *(
        (1, "listen for parked sessions", "proxy", 154.2, 8.6),
        (2, "all of it", "proxy-0", 155.0, 7.4),
    ),
    *((2, "all of it", "proxy-1", 155.0, 2.1), (0, "backend connection", "proxy", 163.0, 6.5)),
    *((0, "restore the session", "proxy", 169.5, 8.3), (0, "first row", "proxy", 177.8, 5.2)),
)
"""Depth, name, where, when it began and how long it took, in milliseconds."""


class MadeUpFleet:
    """Answers what the autoscaler's Overview and Desk do."""

    def __init__(self, count: int, *, now_s: float | None = None, step_s: float = 0.05) -> None:
        """``step_s``: how long a database takes to wake or to fall asleep."""
        self.now_s = time.time() if now_s is None else now_s
        self._step_s = step_s
        self._random = Random(count)
        self.changed: Callable[[str], None] = lambda _: None
        self.link: Callable[[], m.DashboardLink] = _none
        self.rows = {name: self._row(index, name) for index, name in enumerate(_names(count))}
        self.asked: list[str] = []
        """What was done, like ``suspend shop``."""
        self.looked_at = 0
        """Rows that were asked for so far."""

    # --- the fleet ---------------------------------------------------------------------------

    def fleet(self, asked: m.AskFleet) -> m.FleetPage:
        if asked.names:
            found, has_more = [self.rows[n] for n in asked.names if n in self.rows], False
        else:
            names = sorted(self.rows)
            begin = bisect_right(names, asked.after)
            found = [self.rows[name] for name in names[begin : begin + asked.limit]]
            has_more = begin + asked.limit < len(names)
        self.looked_at += len(found)
        return m.FleetPage(databases=tuple(found), has_more=has_more, at=timestamp(self.now_s))

    def names(self, asked: m.AskNames) -> m.Names:
        found = [name for name in sorted(self.rows) if name.startswith(asked.prefix)]
        return m.Names(names=tuple(found[: asked.limit]))

    def computes(self) -> m.Computes:
        return m.Computes(pools=(), computes=())

    async def transitions(self, asked: m.AskTransitions) -> m.TransitionList:
        found = self._went(self._known(asked.database))[: asked.limit]
        return m.TransitionList(transitions=found, since=timestamp(self.now_s - 7200))

    def dashboard(self) -> m.DashboardLink:
        return self.link()

    # --- one database ------------------------------------------------------------------------

    async def wake(self, asked: m.Wake) -> m.Awake:
        self.asked.append(f"resume {asked.name}")
        self._known(asked.name)
        self.update(asked.name, phase=Phase.RESUMING, cu=Decimal(1))
        await asyncio.sleep(self._step_s)
        row = self.rows[asked.name]
        self.update(asked.name, phase=Phase.ACTIVE, wakes_last_hour=row.wakes_last_hour + 1)
        told = m.EndpointInfo(name=row.name, phase=Phase.ACTIVE, epoch=row.epoch)
        return m.Awake(endpoint=told)

    async def suspend(self, name: str) -> None:
        self.asked.append(f"suspend {name}")
        self._known(name)
        if name == PINNED:
            raise Busy(f"{name} can't sleep now: session 17 of app holds advisory lock 42")
        self.update(name, phase=Phase.SUSPENDING)
        await asyncio.sleep(self._step_s)
        self.update(name, phase=Phase.SUSPENDED, sessions=0, attached=0)

    async def sessions(self, asked: m.Sessions) -> m.SessionList:
        row = self._known(asked.name)
        found = tuple(_session(number, row.name) for number in range(1, row.sessions + 1))
        return m.SessionList(sessions=found[: asked.limit], total=len(found))

    async def why(self, name: str) -> m.WhyReply:
        row = self._known(name)
        lines = ("session 1 of app (checkout-api) was in use 2s ago; it sleeps after 5s",)
        awake = row.phase not in (Phase.SUSPENDED, Phase.FAILED)
        return m.WhyReply(name=name, phase=row.phase, reasons=lines if awake else ())

    def decisions(self, name: str) -> m.DecisionList:
        row = self._known(name)
        return m.DecisionList(name=name, decisions=(_decided(self.now_s, row),))

    # --- what a test changes -----------------------------------------------------------------

    def update(self, name: str, **changes: Any) -> None:
        self.rows[name] = self.rows[name].model_copy(update=changes)
        self.changed(name)

    def remove(self, name: str) -> None:
        del self.rows[name]
        self.changed(name)

    def _known(self, name: str) -> m.DatabaseRow:
        if name not in self.rows:
            raise NotFound(f"no database {name!r}", hint="`torpor list` shows those there are")
        return self.rows[name]

    def _row(self, index: int, name: str) -> m.DatabaseRow:
        random = self._random
        phase = _phase(index, random)
        usual = (23, 21, 19, 19, 16, 14, 12, 11, 9) if index < len(NAMES) else (0, 0, 0, 0, 1, 2)
        wakes = 34 if name == BUSIEST else random.choice(usual)
        last_ms = 183.0 if name == BUSIEST else round(random.uniform(32, 140), 1)
        awake = phase not in (Phase.SUSPENDED, Phase.FAILED)
        sessions = 3 if name in (BUSIEST, PINNED) else random.randint(1, 40) if awake else 0
        return m.DatabaseRow(
            name=name,
            phase=phase,
            cu=random.choice(SIZES) if awake else NO_SIZE,
            max_cu=Decimal(8),
            epoch=41 + wakes,
            compute=f"c{index}" if awake else "",
            sessions=sessions,
            queries_per_s=round(random.uniform(0, 900), 1) if awake else None,
            wakes_last_hour=wakes,
            slowest_wake_ms=max(last_ms, round(random.uniform(40, 400), 1)) if wakes else None,
            last_wake_ms=last_ms if wakes else None,
            last_wake_at=timestamp(self.now_s - random.uniform(20, 3000)) if wakes else "",
            is_ready=phase is not Phase.FAILED,
        )

    def _went(self, row: m.DatabaseRow) -> tuple[Transition, ...]:
        if row.last_wake_ms is None:
            return ()
        return tuple(self._transition(row, back) for back in range(min(8, 2 * row.wakes_last_hour)))

    def _transition(self, row: m.DatabaseRow, back: int) -> Transition:
        is_wake = back % 2 == 0
        assert row.last_wake_ms is not None
        total_ms = (row.last_wake_ms if back == 0 else 48.0 + 7 * back) if is_wake else 21.0 + back
        scale = total_ms / 183.0
        spans = [
            Span(name=name, where=where, begin_ms=at * scale, ms=ms * scale, depth=depth)
            for depth, name, where, at, ms in WAKE
        ]
        return Transition(
            database=row.name,
            kind=TransitionKind.RESUME if is_wake else TransitionKind.SUSPEND,
            at=timestamp(self.now_s - 95 - 100 * back),
            epoch=row.epoch - back // 2,
            cause="session 204 of app, application checkout-api" if is_wake else "idle for 5s",
            total_ms=total_ms,
            spans=with_slack(spans),
        )


def _names(count: int) -> list[str]:
    more = (f"customer-{number:05d}" for number in range(1, max(0, count - len(NAMES)) + 1))
    return [*NAMES[:count], *more]


def _phase(index: int, random: Random) -> Phase:
    if index < len(NAMES):
        told = {3: Phase.RESUMING, 5: Phase.SUSPENDING, 11: Phase.FAILED}
        return told.get(index, Phase.ACTIVE if index % 3 != 1 or index == 1 else Phase.SUSPENDED)
    chance = random.random()
    return Phase.ACTIVE if chance < 0.03 else Phase.FAILED if chance < 0.0302 else Phase.SUSPENDED


def _session(number: int, database: str) -> m.SessionInfo:
    is_pinned = database == PINNED and number == 1
    state = (SessionStanding.ATTACHED, SessionStanding.PARKED, SessionStanding.PARKED)[number % 3]
    return m.SessionInfo(
        session=number,
        user="app",
        dbname="app",
        application=("checkout-api", "worker", "psql")[number % 3],
        client=f"10.0.{number % 8}.{number}:5{number:04d}",
        state=SessionStanding.PINNED if is_pinned else state,
        since_s=3.0 * number,
        reason="holds advisory lock 42" if is_pinned else "",
    )


def _decided(now_s: float, row: m.DatabaseRow) -> m.Decided:
    return m.Decided(
        since=timestamp(now_s - 240),
        loop="size",
        follows=f"{row.cu} CU",
        metric="CPU",
        value=0.71,
        threshold=0.9,
        unit="CPUs",
        window_s=60.0,
        line=f"{row.cu} CU: CPU was 0.71 of 0.9 CPUs over 60s",
    )


def _none() -> m.DashboardLink:
    raise Refused("no dashboard is served here")
