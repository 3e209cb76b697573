"""What a thousand sleeping databases cost the operator, on the API server of KUBECONFIG.

Operator and autoscaler run as processes of this machine and ask through a door that counts. Nobody
is woken, so no compute is needed and no pod is made. *Beyond its JSON* is the operator's resident
memory with all of them, less what it had with the first hundred, divided by how many are more, less
the mean length of a resource as JSON without its managed fields: of one operator that has made them
all, and of two that were started, one with the first hundred there and one with all. So what does
not grow with them is in neither, like the code that the first look at a database loads. The
reference of the times is the API server itself, asked for as many small writes, as many at a time,
in the same run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rig import kube_parts
from rig.figures import Part
from rig.kube_door import Door, opened, work
from rig.kube_parts import DATABASES, SYSTEM, processor_seconds, settled
from rig.memory import readings
from rig.progress import Progress
from torpor_kube.documents import condition, name_of, without_managers
from torpor_kube.kinds import CONFIG_MAP, SERVERLESS_DATABASE
from torpor_kube.login import chosen
from torpor_kube.port import Document
from torpor_kube.server import ApiServer
from torpor_kube.watching import Watch

NAME = "operator-scale"
HEADLINE = "operator's memory, each beyond its JSON"

DATABASES_COUNT = 1000
FIRST_COUNT = 100
"""Made before: for an operator that finds them, and as many once more for the one that makes all,
to grow to its work by."""
AT_A_TIME = 16
"""Creations under way together, as of somebody who applies a folder of manifests."""

LIMIT_BYTES = 2 << 10
QUIET_SECONDS = 5.0
"""Without a question, and it counts as settled."""
REST_SECONDS = 60.0
READY_SECONDS_MAX = 900.0


@dataclass
class Seen:
    """When each was made, and when it was Ready for the first time."""

    made: dict[str, float] = field(default_factory=dict)
    ready: dict[str, float] = field(default_factory=dict)

    def listed(self, all: Iterable[Document]) -> None:
        for one in all:
            self.changed(one)

    def changed(self, one: Document) -> None:
        if condition(one, "Ready") == "True":
            self.ready.setdefault(name_of(one), time.monotonic())

    def deleted(self, one: Document) -> None:
        """Nobody deletes any before all is measured."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks the API server, and through which door."""

    operator: Door
    autoscaler: Door

    def work(self) -> int:
        return work(self.operator.counts()) + work(self.autoscaler.counts())


def run(progress: Progress, rounds: int = DATABASES_COUNT) -> list[Part]:
    """``rounds``: how many databases."""
    kube_parts.install_resources()
    with (
        tempfile.TemporaryDirectory(prefix="torpor-bench-") as folder,
        opened(Path(folder), "operator") as operator,
        opened(Path(folder), "autoscaler") as autoscaler,
        _namespaces(),
    ):
        return _measured(Asked(operator, autoscaler), Path(folder), progress, rounds)


@contextlib.contextmanager
def _namespaces() -> Iterator[None]:
    asyncio.run(_with_kube(kube_parts.make_namespaces))
    try:
        yield
    finally:
        kube_parts.remove_namespaces()


async def _with_kube(ask: Callable[[ApiServer], object]) -> object:
    async with _kube() as kube:
        found = ask(kube)
        return await found if asyncio.iscoroutine(found) else found


@contextlib.asynccontextmanager
async def _kube() -> AsyncIterator[ApiServer]:
    kube = ApiServer(chosen(), request_s_max=60.0)
    try:
        yield kube
    finally:
        await kube.close()


def _measured(asked: Asked, folder: Path, progress: Progress, count: int) -> list[Part]:
    with kube_parts.autoscaler(asked.autoscaler, folder):
        with kube_parts.operator(asked.operator, folder):
            asyncio.run(_make("first", FIRST_COUNT, progress))
            settled(asked.work, QUIET_SECONDS)
        few_found = min(_of_one_that_finds(asked, folder, progress))
        with kube_parts.operator(asked.operator, folder) as operator:
            asyncio.run(_make("warm-up", FIRST_COUNT, progress))
            settled(asked.work, QUIET_SECONDS)
            few = min(readings(operator.pid))
            before = asked.operator.counts(), asked.autoscaler.counts()
            seen = asyncio.run(_make("db", count, progress))
            settled(asked.work, QUIET_SECONDS)
            by_operator = work(asked.operator.counts() - before[0]) / count
            by_autoscaler = work(asked.autoscaler.counts() - before[1]) / count
            grown = readings(operator.pid)
            progress.step(f"at rest for {REST_SECONDS:g} s")
            rest = _rest(asked, operator.pid)
        found = _of_one_that_finds(asked, folder, progress)
        bare = asyncio.run(_bare_writes(count, by_operator + by_autoscaler, progress))
        json_bytes = asyncio.run(_json_bytes())
        with kube_parts.operator(asked.operator, folder):
            progress.step("all are deleted")
            kube_parts.kubectl("delete", "sdb", "--all", f"--namespace={DATABASES}", "--wait=false")
            _gone(asked)
            kube_parts.kubectl("delete", "warmpool", "--all", f"--namespace={SYSTEM}")
    return [
        _memory(HEADLINE, grown, few, count, json_bytes),
        _memory("of one that found them", found, few_found, count + FIRST_COUNT, json_bytes),
        Part("made to Ready, each", "ms", _waits(seen), bare.each, "API server alone", ""),
        Part(f"until {count} are Ready", "s", (_whole(seen),), (bare.whole,), "API server alone"),
        Part("questions of the operator, each", "n", (by_operator,), (), "-"),
        Part("questions of the autoscaler, each", "n", (by_autoscaler,), (), "-"),
        *rest,
    ]


def _of_one_that_finds(asked: Asked, folder: Path, progress: Progress) -> list[int]:
    """Resident bytes of an operator that is started for this."""
    with kube_parts.operator(asked.operator, folder) as operator:
        progress.step("another operator finds them")
        settled(asked.work, QUIET_SECONDS)
        return readings(operator.pid)


def _memory(name: str, readings: list[int], before: int, count: int, json_bytes: float) -> Part:
    each = tuple((reading - before) / count - json_bytes for reading in readings)
    goal = f"≤ {LIMIT_BYTES >> 10} KiB"
    return Part(name, "bytes", each, (LIMIT_BYTES,), "limit", goal)


def _waits(seen: Seen) -> tuple[float, ...]:
    return tuple((seen.ready[name] - at) * 1000 for name, at in seen.made.items())


def _whole(seen: Seen) -> float:
    return max(seen.ready.values()) - min(seen.made.values())


async def _make(prefix: str, count: int, progress: Progress) -> Seen:
    """As many as asked for, and waits until all are Ready: asleep, with all that a client needs."""
    seen = Seen()
    async with _kube() as kube:
        watch = Watch(kube, SERVERLESS_DATABASE, lambda one: one, seen, namespace=DATABASES)
        watch.start()

        async def make(number: int) -> None:
            name = f"{prefix}-{number:05d}"
            seen.made[name] = time.monotonic()
            metadata = {"name": name, "namespace": DATABASES}
            await kube.create(SERVERLESS_DATABASE, {"metadata": metadata, "spec": {}})

        await _all(count, make)
        async with asyncio.timeout(READY_SECONDS_MAX):
            while not seen.made.keys() <= seen.ready.keys():
                done = len(seen.made.keys() & seen.ready.keys())
                progress.count("databases are Ready", done, count)
                await asyncio.sleep(0.1)
        await watch.close()
    return seen


async def _all(count: int, one: Callable[[int], object]) -> None:
    """For each number, a few at a time."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            made = one(number)
            assert asyncio.iscoroutine(made)
            await made

    await asyncio.gather(*(work() for _ in range(AT_A_TIME)))


@dataclass(frozen=True, slots=True)
class Bare:
    """The API server's own pace."""

    each: tuple[float, ...]
    """Milliseconds for all the writes of one database, one after the other."""
    whole: float
    """Seconds for those of all."""


async def _bare_writes(count: int, questions: float, progress: Progress) -> Bare:
    """Of small objects that nobody watches, as many for each as a database's provision asked."""
    each: list[float] = []
    async with _kube() as kube:

        async def write(number: int) -> None:
            began = time.monotonic()
            for part in range(round(questions)):
                metadata = {"name": f"bare-{number}-{part}", "namespace": SYSTEM}
                await kube.create(CONFIG_MAP, {"metadata": metadata, "data": {"text": "x" * 500}})
            each.append((time.monotonic() - began) * 1000)
            progress.count("writes of the API server alone", len(each), count)

        began = time.monotonic()
        await _all(count, write)
        return Bare(tuple(each), time.monotonic() - began)


async def _json_bytes() -> float:
    """The mean of the resources as they are stored, without what the server notes of managers."""
    lengths = []
    async with _kube() as kube:
        rest = ""
        while True:
            page = await kube.page(SERVERLESS_DATABASE, DATABASES, rest=rest)
            for one in map(without_managers, page.items):
                lengths.append(len(json.dumps(one, separators=(",", ":"))))
            rest = page.rest
            if not rest:
                return sum(lengths) / len(lengths)


def _rest(asked: Asked, pid: int) -> list[Part]:
    """What goes on while nothing goes on."""
    before, spent = (asked.operator.counts(), asked.autoscaler.counts()), processor_seconds(pid)
    time.sleep(REST_SECONDS)
    spent = processor_seconds(pid) - spent
    minutes = REST_SECONDS / 60
    operator = work(asked.operator.counts() - before[0]) / minutes
    autoscaler = work(asked.autoscaler.counts() - before[1]) / minutes
    return [
        Part("at rest: operator's questions a minute", "n", (operator,), (), "-", "0"),
        Part("at rest: autoscaler's questions a minute", "n", (autoscaler,), (), "-", "0"),
        Part("at rest: operator's processor", "ms/s", (spent / REST_SECONDS * 1000,), (), "-"),
    ]


def _gone(asked: Asked) -> None:
    settled(asked.work, QUIET_SECONDS)
    left = kube_parts.kubectl("get", "sdb", f"--namespace={DATABASES}", "--output=name").split()
    assert not left, f"{len(left)} databases were deleted and are still there: {left[:3]}"
