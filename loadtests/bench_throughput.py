"""What goes through: straight to Postgres, through Torpor, and through PgBouncer, taking turns.

Each has a Postgres of its own, on a copy of the same data, with the same settings; all clients
connect over TCP on this machine, without TLS. Torpor is compared with PgBouncer, where that is
there, and with Postgres itself.
"""

from __future__ import annotations

import contextlib
import functools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from rig import pgbouncer
from rig.client import CHUNK_BYTES, Client, Target, message
from rig.figures import Part
from rig.postgres import copy_of
from rig.progress import Progress
from rig.table import fill, pgbench
from rig.torpor import torpor_up

NAME = "throughput"
HEADLINE = "simple, 1 client"

DATABASE = "bench"
SCALE = 10
"""A million accounts: the large SELECT and the COPY are of all of them."""

ROWS = SCALE * 100_000
MODES = ("simple", "extended", "prepared")
CLIENTS = (1, 16, 100)
ROUNDS = 5
RUN_SECONDS = 3
LOGIN_SECONDS = 0.05
"""Per client: pgbench's time begins before its logins, which its figure leaves out."""

GOAL = "≥ 0.8× PgBouncer"

Measure = Callable[[Target], float]
"""Something per second."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One thing that is measured on every target."""

    name: str
    unit: str
    measure: Measure


def cells() -> list[Cell]:
    found = [
        Cell(
            f"{mode}, {clients} client{'s' if clients > 1 else ''}",
            "transactions/s",
            _transactions(mode, clients),
        )
        for mode in MODES
        for clients in CLIENTS
    ]
    return [
        *found,
        Cell("SELECT of 1M rows", "rows/s", _large("SELECT * FROM pgbench_accounts")),
        Cell("COPY out of 1M rows", "rows/s", _large("COPY pgbench_accounts TO STDOUT")),
        Cell("COPY in of 1M rows", "rows/s", _copy_in),
    ]


def run(progress: Progress, *, rounds: int = ROUNDS) -> list[Part]:
    """Every cell on every target."""
    with _targets(progress) as targets:
        parts = []
        for cell in cells():
            samples = _samples(cell, targets, rounds, progress)
            parts += _parts(cell, samples)
        return parts


@contextlib.contextmanager
def _targets(progress: Progress) -> Iterator[dict[str, Target]]:
    progress.step("starting Torpor, a bare Postgres and PgBouncer on the same data")
    with contextlib.ExitStack() as ending:
        torpor = ending.enter_context(torpor_up(DATABASE))
        target = torpor.target(DATABASE)
        fill(target, SCALE)
        client = Client(target)
        client.ask("CREATE UNLOGGED TABLE copied (LIKE pgbench_accounts)")
        client.close()
        torpor.suspend(DATABASE)
        data = torpor.state / "databases" / DATABASE / "data"
        targets = {"torpor": target, "postgres": ending.enter_context(_awake(data, tcp=True))}
        if program := pgbouncer.program(progress):
            # Over a Unix socket, as Torpor's proxy reaches its compute.
            behind = ending.enter_context(_awake(data, tcp=False))
            targets["pgbouncer"] = ending.enter_context(pgbouncer.bouncing(program, behind))
        yield targets


@contextlib.contextmanager
def _awake(data: Path, *, tcp: bool) -> Iterator[Target]:
    with copy_of(data, tcp=tcp) as postgres:
        postgres.start()
        postgres.client().close()
        yield postgres.target


def _samples(
    cell: Cell, targets: dict[str, Target], rounds: int, progress: Progress
) -> dict[str, list[float]]:
    samples: dict[str, list[float]] = {name: [] for name in targets}
    names = list(targets)
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            samples[name].append(cell.measure(targets[name]))
        progress.count(cell.name, number + 1, rounds)
    return samples


def _parts(cell: Cell, samples: dict[str, list[float]]) -> list[Part]:
    torpor = tuple(samples["torpor"])
    straight = Part(
        f"{cell.name} / postgres", cell.unit, torpor, tuple(samples["postgres"]), "postgres"
    )
    if "pgbouncer" not in samples:
        return [straight]
    bounced = tuple(samples["pgbouncer"])
    return [Part(cell.name, cell.unit, torpor, bounced, "pgbouncer", GOAL), straight]


def _transactions(mode: str, clients: int) -> Measure:
    seconds = RUN_SECONDS + math.ceil(clients * LOGIN_SECONDS)

    def measure(target: Target) -> float:
        output = pgbench(
            target,
            *("--no-vacuum", "--select-only", f"--protocol={mode}", f"--client={clients}"),
            *(f"--jobs={min(clients, 2)}", f"--time={seconds}"),
        )
        found = re.search(r"tps = ([\d.]+) \(without initial connection time\)", output)
        if found is None:
            raise RuntimeError(f"no transaction in {seconds} s:\n{output}")
        return float(found[1])

    return measure


def _large(sql: str) -> Measure:
    def measure(target: Target) -> float:
        client = Client(target)
        seconds = client.drain_s(sql)
        client.close()
        return ROWS / seconds

    return measure


def _copy_in(target: Target) -> float:
    client = Client(target)
    client.ask("TRUNCATE copied")
    seconds = client.copy_in_s("COPY copied FROM STDIN", _packed_rows())
    client.close()
    return ROWS / seconds


@functools.cache
def _packed_rows() -> list[bytes]:
    """Rows like pgbench's, packed as libpq does it: one CopyData a row."""
    filler = " " * 84
    rows = b"".join(
        message(b"d", f"{number}\t1\t0\t{filler}\n".encode()) for number in range(1, ROWS + 1)
    )
    return [rows[place : place + CHUNK_BYTES] for place in range(0, len(rows), CHUNK_BYTES)]
