"""Many sessions at once: a herd that returns, suspends, memory. See :mod:`bench_park`."""

from __future__ import annotations

import time
from functools import partial

from rig.client import Client, dialled, query_packet, startup_packet
from rig.figures import Part
from rig.herd import first_rows_s
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
    with torpor_up(DATABASE, environment=LARGE) as torpor, with_one_password():
        target = torpor.target(DATABASE)
        Client(target).close()
        torpor.suspend(DATABASE)
        with copy_of(torpor.state / "databases" / DATABASE / "data") as bare:
            clients = [Client(target) for _ in range(HERD)]
            ours: list[float] = []
            theirs: list[float] = []
            total = max(1, rounds // 40)
            for number in range(total):
                turns = [(ours, partial(_held, torpor, clients)), (theirs, partial(_fresh, bare))]
                for samples, measure in turns if number % 2 else reversed(turns):
                    samples += measure()
                progress.count(f"{HERD} at once", number + 1, total)
            for client in clients:
                client.close()
    return [
        Part(
            f"{HERD} parked sessions at once",
            "ms",
            tuple(ours),
            tuple(theirs),
            f"bare, {HERD} connects",
            "p99 ≤ 1.0×",
        )
    ]


def _held(torpor: Torpor, clients: list[Client]) -> list[float]:
    torpor.suspend(DATABASE)
    packet = query_packet(QUERY)
    times = first_rows_s([each.socket for each in clients], packet, time.perf_counter())
    return [seconds * 1000 for seconds in times]


def _fresh(bare: BarePostgres) -> list[float]:
    began = bare.start()
    bare.client().close()
    sockets = [dialled(bare.target) for _ in range(HERD)]
    packet = startup_packet(bare.target) + query_packet(QUERY)
    times = first_rows_s(sockets, packet, began)
    for each in sockets:
        each.close()
    bare.stop()
    return [seconds * 1000 for seconds in times]


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
