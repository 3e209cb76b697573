"""Sessions beyond what locust holds, over asyncpg: `python -m load.herd`, fed by a line of JSON.

It says `seated` when its sessions are there, begins at the time that a further line says, and ends
with `done`. asyncpg doesn't work under gevent; and without it a process holds thousands.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from subprocess import PIPE, Popen
from typing import IO, Any, cast

import asyncpg

from load import fleet_file, questions
from load.course import length_s, uses
from load.fleet_file import Target
from load.samples import Sample
from load.scenario import Seat
from load.scenarios import SCENARIOS
from rig.holder import raise_file_limit

SESSIONS_PER_PROCESS = 2500
"""Four processes for ten thousand."""

CONNECTS_AT_ONCE = 50
"""Of each process: a proxy has a bound for those that have not logged in yet."""

CONNECT_SECONDS_MAX = 60.0
SPARE_SECONDS = 15.0
"""Beyond what a proxy lets a client wait: then it says why."""

OPEN_FILES = SESSIONS_PER_PROCESS + 200

SEATED, DONE = "seated\n", "done\n"

ASK = questions.ASK.replace("'app.load', true", "'application_name'").replace("%(thing)s", "$1")
"""A session's own state is in its startup packet here: a SET would wake the database."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one process is told."""

    scenario: str
    factor: float
    seconds: float
    seed: int
    fleet: str
    first: int
    count: int
    samples: str


class Herd:
    """All processes of one side."""

    def __init__(self, order: Order) -> None:
        """``order``: of all of them together."""
        self._order = order
        self._processes: list[Popen[str]] = []

    def seat(self) -> None:
        """Until every session is there. Raises RuntimeError."""
        raise_file_limit(OPEN_FILES)
        for first in range(0, self._order.count, SESSIONS_PER_PROCESS):
            count = min(SESSIONS_PER_PROCESS, self._order.count - first)
            samples = f"{self._order.samples}.{first}"
            process = Popen([sys.executable, "-m", "load.herd"], stdin=PIPE, stdout=PIPE, text=True)
            self._processes.append(process)
            order = {**asdict(self._order), "first": first, "count": count, "samples": samples}
            _tell(process, json.dumps(order))
        for process in self._processes:
            _hear(process, SEATED)

    def run(self, begin_at: float) -> None:
        """``begin_at``: in seconds since 1970. Until every answer is there."""
        with Path(self._order.samples).open("w") as whole:
            whole.write(f'{{"begin": {begin_at}}}\n')
            for process in self._processes:
                _tell(process, str(begin_at))
            for process in self._processes:
                _hear(process, DONE)
            for first in range(0, self._order.count, SESSIONS_PER_PROCESS):
                part = Path(f"{self._order.samples}.{first}")
                whole.write(part.read_text())
                part.unlink()

    def end(self) -> None:
        for process in self._processes:
            process.communicate()


def _tell(process: Popen[str], line: str) -> None:
    cast(IO[str], process.stdin).write(line + "\n")
    cast(IO[str], process.stdin).flush()


def _hear(process: Popen[str], expected: str) -> None:
    heard = cast(IO[str], process.stdout).readline()
    if heard != expected:
        raise RuntimeError(f"a process of the herd said {heard!r} and not {expected!r}; see above")


class Session:
    """One client's."""

    def __init__(
        self, seat: Seat, target: Target, random: Random, answer_seconds_max: float
    ) -> None:
        self.seat = seat
        self._target = target
        self._random = random
        self._connection: asyncpg.Connection[Any] | None = None
        self._name = f"client {seat.number}"
        self._answer_seconds_max = answer_seconds_max

    async def begin(self, at_once: asyncio.Semaphore) -> None:
        async with at_once:
            self._connection = await asyncpg.connect(
                self._target.uri,
                timeout=CONNECT_SECONDS_MAX,
                server_settings={"application_name": self._name},
            )

    async def lives(self, begin_at: float, tell: list[Sample]) -> None:
        busy_until = 0.0
        for due in uses(self.seat.course, self._random, shift_s=self.seat.shift_s):
            await asyncio.sleep(max(0.0, begin_at + due - time.time()))
            asked_at = time.time() - begin_at
            since = due if busy_until > due else asked_at
            started, age_s, error = 0.0, 0.0, ""
            try:
                started, age_s = await self._ask()
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as failed:
                error = f"{type(failed).__name__}: {failed}".splitlines()[0]
            busy_until = time.time() - begin_at
            tell.append(self._sample(since, busy_until - since, started, age_s, error))
        await asyncio.sleep(max(0.0, begin_at + length_s(self.seat.course) - time.time()))

    async def _ask(self) -> tuple[float, float]:
        assert self._connection is not None
        thing = self._random.randint(1, questions.THINGS)
        row = await self._connection.fetchrow(ASK, thing, timeout=self._answer_seconds_max)
        if row is None or row[0] != self._name:
            raise asyncpg.InterfaceError(f"the session of {self._name!r} answers {row!r}")
        return row[1], row[2]

    def _sample(
        self, at: float, waited_s: float, started: float, age_s: float, error: str
    ) -> Sample:
        name, part = self._target.name, self.seat.part
        return Sample(at, name, part, waited_s, self.seat.number, started, age_s, error)

    async def end(self) -> None:
        if self._connection is not None:
            self._connection.terminate()


async def main() -> None:
    order = Order(**json.loads(sys.stdin.readline()))
    raise_file_limit(OPEN_FILES)
    scenario = SCENARIOS[order.scenario].sized(order.factor, order.seconds)
    targets = fleet_file.read(Path(order.fleet))
    sessions = [
        Session(
            seat,
            targets[seat.database % len(targets)],
            Random(f"{order.seed} {seat.number}"),
            scenario.wake_timeout_s + SPARE_SECONDS,
        )
        for seat in scenario.seats()[order.first : order.first + order.count]
    ]
    at_once, samples = asyncio.Semaphore(CONNECTS_AT_ONCE), list[Sample]()
    await asyncio.gather(*(session.begin(at_once) for session in sessions))
    print(SEATED, end="", flush=True)
    begin_at = float(await asyncio.to_thread(sys.stdin.readline))
    await asyncio.gather(*(session.lives(begin_at, samples) for session in sessions))
    await asyncio.gather(*(session.end() for session in sessions))
    Path(order.samples).write_text("".join(sample.line() + "\n" for sample in samples))
    print(DONE, end="", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
