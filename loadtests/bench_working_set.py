"""How far the estimate of a working set is from the truth, and what a second of samples costs.

A client touches pages of which it keeps account: one row lies on each, and is read by its place,
so that nothing but that page is touched. Torpor's figure is what the agent tells of a window of 10
and of 60 seconds; the reference is how many of the pages were touched in the same seconds. Sizes
lie below and above the 128 MiB of shared buffers. Where a scan of the whole table comes in between,
the truth leaves it out: it reads through a ring, and no memory would spare it its reads but all.

A second of samples: what agent and its backend take of a processor while somebody watches, against
the same while nobody does.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rig.client import Client, Target
from rig.figures import Part
from rig.postgres import postmaster_pid
from rig.progress import Progress
from rig.torpor import Torpor, torpor_up
from torpor_api import messages as m
from torpor_channel.client import dial
from torpor_channel.peer import Peer

NAME = "working-set"
HEADLINE = "uniform, 64 MiB, 60 s"

DATABASE = "bench"

PAGES_PER_MIB = 128
TABLE_MIB = 384

FILL = (
    "CREATE TABLE page (filler text STORAGE PLAIN)",
    f"INSERT INTO page SELECT repeat('x', 7000)"
    f" FROM generate_series(1, {TABLE_MIB * PAGES_PER_MIB})",
    "VACUUM (FREEZE) page",
)

PAGES_PER_QUERY = 200
QUERIES_PER_SECOND = 50

SCAN = "SELECT count(*) FROM page"
SCAN_EVERY_SECONDS = 10.0

WINDOWS_S = (10, 60)
WARM_UP_SECONDS = 20.0
"""Of the shorter window, at the start of each case."""
SECONDS_PER_CASE = 75.0

LOOK_SECONDS = 5.0
"""A figure is of the last look, and that may be older than the sample by almost so much."""

UNWATCHED_SECONDS = 10.0
UNWATCHED_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Case:
    """Which pages are touched, and how."""

    name: str
    mib: int
    is_skewed: bool = False
    """Zipf's law with exponent 1: the first half of the accesses goes to one page in 200."""
    locks_rows: bool = False
    """So that every page that is touched is written as well."""
    scans: bool = False

    def draws(self, seed: int) -> Iterator[list[int]]:
        """The pages of each query."""
        draw, pages = random.Random(seed), range(self.mib * PAGES_PER_MIB)
        weights = [1 / (rank + 1) for rank in pages] if self.is_skewed else [1.0] * len(pages)
        total = list(itertools.accumulate(weights))
        while True:
            yield draw.choices(pages, cum_weights=total, k=PAGES_PER_QUERY)

    def query(self, pages: list[int]) -> str:
        places = ",".join(f'"({page},1)"' for page in pages)
        lock = " FOR UPDATE" if self.locks_rows else ""
        rows = f"SELECT FROM page WHERE ctid = ANY('{{{places}}}'::tid[]){lock}"
        return f"SELECT count(*) FROM ({rows}) touched"


CASES = (
    Case("uniform, 64 MiB", 64),
    Case("uniform, 16 MiB", 16),
    Case("uniform, 112 MiB", 112),
    Case("uniform, 192 MiB", 192),
    Case("uniform, 384 MiB", 384),
    Case("Zipf, 384 MiB", 384, is_skewed=True),
    Case("uniform, 64 MiB, with scans of 384", 64, scans=True),
    Case("uniform, 64 MiB, written", 64, locks_rows=True),
)


@dataclass
class Load:
    """A client at work in a thread of its own, and the account of what it has touched."""

    target: Target
    case: Case
    touched: deque[tuple[float, list[int]]] = field(default_factory=deque)
    _is_over: threading.Event = field(default_factory=threading.Event)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        works = [threading.Thread(target=self._touch)]
        works += [threading.Thread(target=self._scan)] if self.case.scans else []
        for work in works:
            work.start()
        try:
            yield
        finally:
            self._is_over.set()
            for work in works:
                work.join()

    def mib_touched(self, window_s: float, until_s: float) -> float:
        """The truth."""
        log = list(self.touched)
        pages = {page for at_s, few in log if until_s - window_s < at_s <= until_s for page in few}
        return len(pages) / PAGES_PER_MIB

    def _touch(self) -> None:
        client = Client(self.target)
        for pages in self.case.draws(seed=self.case.mib):
            client.ask(self.case.query(pages))
            self.touched.append((time.monotonic(), pages))
            if self._is_over.wait(1 / QUERIES_PER_SECOND):
                break
        client.close()

    def _scan(self) -> None:
        client = Client(self.target)
        while not self._is_over.wait(SCAN_EVERY_SECONDS):
            client.ask(SCAN)
        client.close()


Found = dict[int, list[tuple[float, float]]]
"""By window: estimates in MiB, each with the truth."""


def run(progress: Progress, *, rounds: int = len(CASES)) -> list[Part]:
    """``rounds``: so many of the cases."""
    with torpor_up(DATABASE, spec="{idleTimeout: 1h, maxCU: 1}") as torpor:
        progress.step(f"filling a table of {TABLE_MIB} MiB")
        target = torpor.target(DATABASE)
        client = Client(target)
        for statement in FILL:
            client.ask(statement)
        torpor.suspend(DATABASE)  # What is dirty is written.
        client.ask(SCAN)
        parts = asyncio.run(_measured(torpor, target, CASES[:rounds], progress))
        client.close()
        return parts


async def _measured(
    torpor: Torpor, target: Target, cases: tuple[Case, ...], progress: Progress
) -> list[Part]:
    processor = _Processor(torpor)
    progress.step("nobody watches")
    alone = [await processor.ms_per_second(UNWATCHED_SECONDS) for _ in range(UNWATCHED_ROUNDS)]
    parts, costs = [], []
    async with _watching(torpor) as samples:
        for case in cases:
            progress.step(case.name)
            cost = asyncio.create_task(processor.ms_per_second(SECONDS_PER_CASE))
            load = Load(target, case)
            with load.at_work():
                found = await _followed(load, samples)
            costs.append(await cost)
            parts += [_part(case, window_s, pairs) for window_s, pairs in found.items()]
    unit = "ms of a processor"
    return [
        *parts,
        Part("a second of samples", unit, tuple(costs), tuple(alone), "nobody watches", "≤ 10 ms"),
    ]


def _part(case: Case, window_s: int, pairs: list[tuple[float, float]]) -> Part:
    estimates, truth = zip(*pairs, strict=True)
    return Part(f"{case.name}, {window_s} s", "MiB", estimates, truth, "touched", "1 ± 0.1")


async def _followed(load: Load, samples: asyncio.Queue[m.ComputeSample]) -> Found:
    """What is told of windows that lie within the case, until it is over."""
    found: Found = {window_s: [] for window_s in WINDOWS_S}
    began_s = time.monotonic()
    while time.monotonic() < began_s + SECONDS_PER_CASE:
        sample = await samples.get()
        for window_s, told in (sample.working_set_bytes or {}).items():
            is_within = sample.at_s > began_s + max(window_s + LOOK_SECONDS, WARM_UP_SECONDS)
            if window_s in found and is_within:
                truth = await asyncio.to_thread(load.mib_touched, window_s, sample.at_s)
                found[window_s].append((told / (1 << 20), truth))
    return found


@contextlib.asynccontextmanager
async def _watching(torpor: Torpor) -> AsyncIterator[asyncio.Queue[m.ComputeSample]]:
    """By a connection of our own to the agent: whoever may reach its socket may ask."""
    samples = asyncio.Queue[m.ComputeSample]()

    async def heard(_: Peer, sample: m.ComputeSample) -> None:
        samples.put_nowait(sample)

    socket = torpor.state / "run" / "agents" / f"{_compute(torpor)}.sock"
    peer = await dial(socket, {m.ComputeSample: heard})
    await peer.ask(m.WatchSamples(), timeout_s=10.0)
    try:
        yield samples
    finally:
        await peer.close()


def _compute(torpor: Torpor) -> str:
    return str(torpor.status(DATABASE)["compute"])


class _Processor:
    """Time that the agent and its kept backend take."""

    def __init__(self, torpor: Torpor) -> None:
        self._agent = _process_with("--compute", _compute(torpor))
        self._postmaster = postmaster_pid(torpor.state / "databases" / DATABASE / "data")

    async def ms_per_second(self, seconds: float) -> float:
        before = self._taken_ms()
        await asyncio.sleep(seconds)
        return (self._taken_ms() - before) / seconds

    def _taken_ms(self) -> float:
        children = Path(f"/proc/{self._postmaster}/task/{self._postmaster}/children").read_text()
        own = [pid for pid in children.split() if b"torpor_admin" in _command_line(pid)]
        return sum(_on_processor_ms(pid) for pid in [str(self._agent), *own])


def _process_with(*arguments: str) -> int:
    wanted = b"\0".join(argument.encode() for argument in arguments)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and wanted in _command_line(entry.name):
            return int(entry.name)
    raise RuntimeError(f"no process has {' '.join(arguments)}")


def _command_line(pid: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _on_processor_ms(pid: str) -> float:
    """Of its main thread, to the nanosecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6
