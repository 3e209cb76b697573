"""The first 1,000 queries after a wake: with what was in shared buffers loaded again, and without.

Point reads of random rows of a table that, with its index, just fits into shared buffers (128 MiB).
All of it was in them before the sleep. While the database sleeps, the kernel's cache of its files
is emptied (by `posix_fadvise`, for which nobody needs to be root): what a wake on another node of a
cluster finds, or one after hours. Three databases take turns: one of a Torpor that loads, one of a
Torpor that does not, and one that has never slept.

Queries come one behind the other without a pause, or 200 in a second. The first one of each wake,
which waits for the start, is a comparison of its own and not among the others; so is the suspend.
And in wakes of its own each query tells (by EXPLAIN) how many pages it did not find in shared
buffers: a figure that does not depend on how fast the disk is, nor on who else uses the machine.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from rig.client import Client, Target, query_packet
from rig.figures import Part
from rig.progress import Progress
from rig.table import fill
from rig.torpor import Torpor, torpor_up

NAME = "warm-cache"
HEADLINE = "200 in a second"

SLEEPER, AWAKE = "bench", "awake"

SCALE = 8
"""800,000 accounts: 102 MiB, and 17 of index."""

ACCOUNTS = SCALE * 100_000

READ_ALL = (
    "SELECT count(*) FROM pgbench_accounts WHERE aid > 0 AND abalance IS NOT NULL",
    "SELECT sum(aid) FROM (SELECT aid FROM pgbench_accounts ORDER BY aid) ordered",
)
"""Through the index as well: a scan of the table alone would go through a ring of few buffers."""

BY_INDEX = "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_indexonlyscan = off"

QUERIES = 1000
PER_SECOND = 200
ROUNDS = 10

SPEC = "{idleTimeout: 1h, maxCU: 1}"

OFF = {"TORPOR_COMPUTE_REFILL": "off"}

Times = list[float]


@dataclass
class Wakes:
    """What one side's wakes took, in milliseconds."""

    suspend: Times = field(default_factory=list)
    first: Times = field(default_factory=list)
    at_once: Times = field(default_factory=list)
    paced: Times = field(default_factory=list)
    missed: list[float] = field(default_factory=list)
    """Pages that a wake's queries did not find in shared buffers."""


@dataclass(frozen=True, slots=True)
class Side:
    """A database that sleeps before each measurement."""

    torpor: Torpor
    target: Target
    found: Wakes

    def fill(self) -> None:
        fill(self.target, SCALE)
        self._read_all()

    def measure(self, queries: Iterator[str], times: Times, gap_s: float) -> None:
        client = self._wake(queries)
        times += asked(client, queries, gap_s)
        client.close()
        self._read_all()

    def count(self, queries: Iterator[str]) -> None:
        client = self._wake(queries)
        self.found.missed.append(missed(client, queries))
        client.close()
        self._read_all()

    def _wake(self, queries: Iterator[str]) -> Client:
        """After a sleep in which the kernel has forgotten the files."""
        self.found.suspend.append(self.torpor.suspend_s(SLEEPER) * 1000)
        self.torpor.wait_for_agents()
        forget_files(self.torpor, SLEEPER)
        client = Client(self.target)
        self.found.first.append(client.first_row_s(next(queries)) * 1000)
        return client

    def _read_all(self) -> None:
        """So that each side has all of it in its buffers before its next sleep."""
        client = Client(self.target)
        client.ask(BY_INDEX)
        for query in READ_ALL:
            client.ask(query)
        client.close()


def run(progress: Progress, *, rounds: int = ROUNDS) -> list[Part]:
    """Both kinds of load, for all three."""
    progress.step("filling three databases")
    with (
        torpor_up(SLEEPER, spec=SPEC) as loading,
        torpor_up(SLEEPER, AWAKE, spec=SPEC, environment=OFF) as plain,
    ):
        ours = Side(loading, loading.target(SLEEPER), Wakes())
        theirs = Side(plain, plain.target(SLEEPER), Wakes())
        awake = Side(plain, plain.target(AWAKE), Wakes())
        for side in (ours, theirs, awake):
            side.fill()
        for number in range(rounds):
            seed = random.Random(number)
            for kind, gap_s in (("at_once", 0.0), ("paced", 1 / PER_SECOND)):
                for side in (ours, theirs) if number % 2 else (theirs, ours):
                    side.measure(draws(seed), getattr(side.found, kind), gap_s)
                client = Client(awake.target)
                times = getattr(awake.found, kind)
                times += asked(client, draws(seed), gap_s)
                client.close()
            for side in (ours, theirs):
                side.count(draws(seed))
            progress.count("wakes", number + 1, rounds)
    return _parts(ours.found, theirs.found, awake.found)


def draws(seed: random.Random) -> Iterator[str]:
    """Queries of random rows."""
    while True:
        yield f"SELECT abalance FROM pgbench_accounts WHERE aid = {seed.randint(1, ACCOUNTS)}"


def asked(client: Client, queries: Iterator[str], gap_s: float) -> Times:
    """Milliseconds of each, from its first byte to its first row."""
    times, due_s = [], time.perf_counter()
    for _ in range(QUERIES):
        time.sleep(max(0.0, due_s - time.perf_counter()))
        times.append(client.first_row_s(next(queries)) * 1000)
        due_s += gap_s
    return times


def missed(client: Client, queries: Iterator[str]) -> int:
    """Pages that the first 1,000 queries, 200 in a second, did not find in shared buffers."""
    pages, due_s = 0, time.perf_counter()
    for _ in range(QUERIES):
        time.sleep(max(0.0, due_s - time.perf_counter()))
        packet = query_packet(f"EXPLAIN (ANALYZE, BUFFERS, TIMING off) {next(queries)}")
        plan = b"".join(body for kind, body in client.answers(packet, 1) if kind == b"D")
        execution, _, _ = plan.partition(b"Planning:")
        # A node's figure has those below it in it: the first one is the whole query's.
        found = re.search(rb"Buffers: shared[^,\n]*? read=([0-9]+)", execution)
        pages += int(found[1]) if found else 0
        due_s += 1 / PER_SECOND
    return pages


def forget_files(torpor: Torpor, name: str) -> None:
    """The kernel has nothing of the database cached any more: it sleeps, so all is on the disk."""
    for file in (torpor.state / "databases" / name / "data").rglob("*"):
        if file.is_file():
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def _parts(ours: Wakes, theirs: Wakes, awake: Wakes) -> list[Part]:
    kinds: tuple[tuple[str, Callable[[Wakes], Times]], ...] = (
        ("200 in a second", lambda wakes: wakes.paced),
        ("one behind the other", lambda wakes: wakes.at_once),
    )
    parts = []
    for name, of in kinds:
        for other, wakes in (("not loaded", theirs), ("never slept", awake)):
            suffix = "" if wakes is theirs else ", against never slept"
            goal = "≤ 1" if wakes is theirs else "p50 ≤ 1.2"
            parts.append(_part(f"{name}{suffix}", of(ours), of(wakes), other, goal))
    return [
        *parts,
        Part(
            "pages not found",
            "pages of 1,000 queries",
            tuple(ours.missed),
            tuple(theirs.missed),
            "not loaded",
            "≤ 0.25",
        ),
        _part("the first query of a wake", ours.first, theirs.first, "not loaded", "1 ± 0.1"),
        _part("suspend", ours.suspend, theirs.suspend, "not noted", "50 ms more at most"),
    ]


def _part(name: str, ours: Times, theirs: Times, other: str, goal: str) -> Part:
    return Part(name, "ms", tuple(ours), tuple(theirs), other, goal)
