"""Many sessions at once: a herd that returns, suspends, memory. See :mod:`bench_park`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial

from rig.client import Client, query_packet
from rig.figures import Part
from rig.herd import first_rows_s, strangers_s
from rig.holder import Holders
from rig.memory import readings
from rig.postgres import BarePostgres, copy_of
from rig.progress import Progress
from rig.scram_client import with_one_password
from rig.state import BOTH, NOTHING, Load
from rig.torpor import Torpor, torpor_up

DATABASE = "bench"
QUERY = "SELECT 2"

HERD = 1000
CONNECTIONS = 1200
"""That Postgres accepts, on both sides: a bare one has to hold the whole herd at once."""

LARGE = {"TORPOR_COMPUTE_MAX_CONNECTIONS": str(CONNECTIONS)}

SUSPENDED = {10: 20, 1000: 40, 10_000: 200}
"""How many sessions, and how many rounds of one session a suspend of them counts as."""

ASKING = 1000
"""Of them, at most, that have a backend when the suspend begins: each has just asked."""

HELD = 2000
LIMIT_BYTES = {NOTHING: 4 << 10, BOTH: 8 << 10}
WARM_UP_SESSIONS = 150
"""More than have a backend at once: buffers have their size, and parking has been done."""


def herd(progress: Progress, rounds: int) -> list[Part]:
    """Held sessions that all ask at once, against fresh connections."""
    progress.step(f"starting Torpor for a herd of {HERD}")
    with torpor_up(DATABASE, environment=LARGE) as torpor, contextlib.ExitStack() as ending:
        target = torpor.target(DATABASE)
        Client(target).close()
        torpor.suspend(DATABASE)
        data = torpor.state / "databases" / DATABASE / "data"
        logins = ending.enter_context(copy_of(data, tcp=True, password=target.password))
        bare = ending.enter_context(copy_of(data))
        ending.enter_context(with_one_password())
        clients = [Client(target) for _ in range(HERD)]
        turns: list[Callable[[], list[float]]] = [
            partial(_held, torpor, clients),
            partial(_fresh, logins),
            partial(_fresh, bare),
        ]
        samples: list[list[float]] = [[] for _ in turns]
        total = max(1, rounds // 40)
        for number in range(total):
            for turn in (0, 1, 2) if number % 2 else (2, 1, 0):
                samples[turn] += [seconds * 1000 for seconds in turns[turn]()]
            progress.count(f"{HERD} at once", number + 1, total)
        for client in clients:
            client.close()
    ours, by_login, by_trust = map(tuple, samples)
    name = f"{HERD} parked sessions at once"
    return [
        Part(name, "ms", ours, by_login, f"bare, {HERD} logins", "p99 ≤ 1.0×"),
        Part(f"{name} / trusted", "ms", ours, by_trust, f"bare, {HERD} without a login"),
    ]


def _held(torpor: Torpor, clients: list[Client]) -> list[float]:
    torpor.suspend(DATABASE)
    sockets = [each.socket for each in clients]
    times = first_rows_s(sockets, query_packet(QUERY), time.perf_counter())
    # Not only when its turn comes again: what the proxy does afterwards is nobody else's time.
    torpor.suspend(DATABASE)
    return times


def _fresh(bare: BarePostgres) -> list[float]:
    times = strangers_s(bare.target, HERD, query_packet(QUERY), bare.up)
    bare.stop()
    return times


def suspends(progress: Progress, rounds: int) -> list[Part]:
    """How long a suspend takes that finds so many sessions, as many of them with a backend as
    asked last."""
    progress.step("starting Torpor for suspends")
    parts = []
    with (
        torpor_up(DATABASE, environment=LARGE) as torpor,
        Holders(torpor.target(DATABASE)) as holders,
    ):
        for count, divisor in SUSPENDED.items():
            torpor.suspend(DATABASE)
            holders.hold(count)
            times = []
            for number in range(max(1, rounds // divisor)):
                holders.ask(min(count, ASKING))
                times.append(torpor.suspend_s(DATABASE) * 1000)
                progress.count(f"suspend with {count}", number + 1, max(1, rounds // divisor))
            parts.append(Part(f"suspend with {count} sessions", "ms", tuple(times), (), "-"))
    return parts


def memory(progress: Progress, _rounds: int) -> list[Part]:
    """Of the proxy's process, for each parked session, with values of its own."""
    return [part for load in LIMIT_BYTES for part in _memory(load, progress)]


def _memory(load: Load, progress: Progress) -> list[Part]:
    progress.step(f"{HELD} sessions with {load.name}")
    with torpor_up(DATABASE) as torpor:
        target = torpor.target(DATABASE)
        proxy, limit = torpor.proxy_pid(), LIMIT_BYTES[load]
        with Holders(target, load) as warm_up:
            warm_up.hold(WARM_UP_SESSIONS)
        torpor.suspend(DATABASE)
        before = min(readings(proxy))
        with Holders(target, load) as holders:
            holders.hold(HELD)
            torpor.suspend(DATABASE)
            each = tuple((reading - before) / HELD for reading in readings(proxy))
    goal = f"≤ {limit >> 10} KiB"
    return [Part(f"parked session, {load.name}", "bytes", each, (limit,), "limit", goal)]
