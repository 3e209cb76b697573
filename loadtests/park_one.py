"""One session that is parked and attached again and again. See :mod:`bench_park`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial

from rig import pieces
from rig.client import Client, Target
from rig.figures import Part
from rig.postgres import BarePostgres, copy_of
from rig.progress import Progress
from rig.state import BOTH, NOTHING, SETTINGS, STATEMENTS, Load
from rig.torpor import torpor_up

DATABASE = "bench"
QUERY = "SELECT 2"
"""Not a keep-alive, which a parked session answers by itself."""

LOADS = (NOTHING, SETTINGS, STATEMENTS, BOTH)
HEADLINE = f"park + attach, {BOTH.name}"
GOAL = "p50 ≤ 3×"
SALT = 4711

REFERENCE = "bare connect, the same"


@dataclass(slots=True)
class Times:
    """In milliseconds."""

    torpor: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    captures: list[float] = field(default_factory=list)
    restores: list[float] = field(default_factory=list)
    held_bytes: int = 0


def run(progress: Progress, rounds: int) -> list[Part]:
    progress.step("starting Torpor that parks at every safe point")
    with torpor_up(DATABASE, options=("--park-every-safe-point",)) as torpor:
        target = torpor.target(DATABASE)
        Client(target).close()
        torpor.suspend(DATABASE)
        with copy_of(torpor.state / "databases" / DATABASE / "data") as bare:
            bare.start()
            bare.client().close()
            parts = [part for load in LOADS for part in _of(load, target, bare, rounds, progress)]
    return parts


def _of(
    load: Load, target: Target, bare: BarePostgres, rounds: int, progress: Progress
) -> list[Part]:
    times = Times()
    client = Client(target)
    client.answers(load.messages(SALT), load.readies)
    client.ask(QUERY)
    for number in range(rounds):
        turns = (partial(_park, client, times), partial(_connect, load, bare.target, times))
        for turn in turns if number % 2 else reversed(turns):
            turn()
        progress.count(load.name, number + 1, rounds)
    client.close()
    return [
        Part(
            f"park + attach, {load.name}",
            "ms",
            tuple(times.torpor),
            tuple(times.bare),
            REFERENCE,
            GOAL,
        ),
        Part(f"capture alone, {load.name}", "ms", tuple(times.captures), (), "-"),
        Part(f"restore alone, {load.name}", "ms", tuple(times.restores), (), "-"),
        Part(f"held state, {load.name}", "bytes", (times.held_bytes,), (), "-"),
    ]


def _park(client: Client, times: Times) -> None:
    """The end of the first answer is a safe point: what is asked then waits for all of it."""
    client.ask(QUERY)
    began = time.perf_counter()
    client.ask(QUERY)
    times.torpor.append((time.perf_counter() - began) * 1000)


def _connect(load: Load, target: Target, times: Times) -> None:
    began = time.perf_counter()
    client = Client(target)
    client.answers(load.messages(SALT), load.readies)
    client.ask(QUERY)
    times.bare.append((time.perf_counter() - began) * 1000)
    captured_ms, held = pieces.capture_of(client, target.user, load)
    client.close()
    times.captures.append(captured_ms)
    times.held_bytes = len(held.rows)
    fresh = Client(target)
    times.restores.append(pieces.restore_of(fresh, held))
    fresh.close()
