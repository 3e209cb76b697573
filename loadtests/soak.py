"""`make soak`: many clients, a database that sleeps when it can, a kill every 20 s: any surprise?

Every error that a client sees must be explained by a kill; what was acknowledged must be there;
every notification is heard once and in order by every session that listens; settings and statements
are what they were. Ends with a table, and with 1 where something is not so.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass
from random import Random

import asyncpg

from rig.holder import raise_file_limit
from rig.progress import Progress
from rig.torpor import Torpor, torpor_up
from soaking import checker
from soaking.checker import Verdict
from soaking.clients import ROWS, Client, Rhythm, Seen
from soaking.kills import Kills
from torpor_cli.output import table

DATABASE = "soak"
SPEC = "{idleTimeout: 1s}"

BUSY_SECONDS, QUIET_SECONDS = 6.0, 4.0
"""Clients work, then pause for longer than the idle timeout, together."""

KILL_EVERY_SECONDS = 20.0
CALM_SECONDS = 10.0
"""At the end, without a kill: whatever is on its way may come."""

END_SECONDS_MAX = 60.0
OPEN_FILES = 4000
SHOWN_MAX = 20


@dataclass(frozen=True, slots=True)
class Soaked:
    """What came of it."""

    seen: Seen
    kills: Kills
    wakes: int
    """From a sleep."""
    heard: Verdict
    problems: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of all that is random")
    chosen = parser.parse_args()
    raise_file_limit(OPEN_FILES)
    progress = Progress("soak")
    progress.step(f"{chosen.clients} clients, {chosen.minutes:g} min, seed {chosen.seed}")
    with torpor_up(DATABASE, spec=SPEC) as torpor:
        found = asyncio.run(
            soak(torpor, chosen.clients, chosen.minutes * 60, Random(chosen.seed), progress)
        )
        print(as_table(found))
        for problem in found.problems[:SHOWN_MAX]:
            print(f"not explained: {problem}")
        if found.problems:
            sys.exit(1)


async def soak(
    torpor: Torpor, count: int, seconds: float, random: Random, progress: Progress
) -> Soaked:
    uri = torpor.run("uri", DATABASE).strip()
    setup = await asyncpg.connect(uri, ssl=False)
    await setup.execute("create table written (client text, number int, part int)")
    await setup.close()
    seen, rhythm, kills = Seen(), Rhythm(), Kills(torpor, DATABASE, random)
    end_at = time.monotonic() + seconds
    epoch = torpor.status(DATABASE)["epoch"]
    clients = [Client(n, uri, seen, rhythm, Random(random.random())) for n in range(count)]
    tasks = [asyncio.create_task(client.live()) for client in clients]
    beat = asyncio.create_task(rhythm.beat(BUSY_SECONDS, QUIET_SECONDS))
    killing = asyncio.create_task(kills.go_on(KILL_EVERY_SECONDS, end_at - CALM_SECONDS))
    while (left := end_at - time.monotonic()) > 0:
        progress.count("seconds", int(seconds - left), int(seconds))
        await asyncio.sleep(min(1.0, left))
    await killing
    await _hear_all(seen)
    beat.cancel()
    rhythm.has_ended.set()
    rhythm.goes_on.set()
    stuck = await _end(tasks)
    resumes = torpor.status(DATABASE)["epoch"] - epoch
    return await _judge(uri, seen, kills, resumes, stuck)


async def _hear_all(seen: Seen) -> None:
    """Until nobody misses anything any more, or for as long as that may take."""
    deadline = time.monotonic() + END_SECONDS_MAX
    while time.monotonic() < deadline:
        living = [life for life in seen.lives if life.ended_at is None]
        if not any(
            checker.missing(life, numbers, life.of(sender))
            for life in living
            for sender, numbers in seen.sent.items()
        ):
            return
        await asyncio.sleep(1.0)


async def _end(tasks: list[asyncio.Task[None]]) -> list[str]:
    done, stuck = await asyncio.wait(tasks, timeout=END_SECONDS_MAX)
    for task in stuck:
        task.cancel()
    failed = [repr(task.exception()) for task in done if task.exception() is not None]
    return failed + ["a client waits for ever"] * len(stuck)


async def _judge(uri: str, seen: Seen, kills: Kills, resumes: int, stuck: list[str]) -> Soaked:
    connection = await asyncpg.connect(uri, ssl=False)
    rows = await connection.fetch("select client, number, count(*) from written group by 1, 2")
    await connection.close()
    found = {(row[0], row[1]): row[2] for row in rows}
    heard = checker.notifications(seen.lives, seen.sent, kills.done)
    problems = [
        *stuck,
        *seen.wrong,
        *checker.unexplained(seen.events, kills.done),
        *checker.commits(seen.commits, found, ROWS),
        *heard.problems,
    ]
    # An agent that lives on restarts its Postgres under the same epoch.
    wakes = resumes - sum(kill.kind == "agent" for kill in kills.done)
    if wakes <= 0 or not kills.done:
        problems.append("the database has not slept, or nothing was killed: that shows nothing")
    return Soaked(seen, kills, wakes, heard, tuple(problems))


def as_table(found: Soaked) -> str:
    seen, kinds = found.seen, Counter(kill.kind for kill in found.kills.done)
    errors = Counter((event.sqlstate, event.goes_on) for event in seen.events)
    sent = [each for numbers in seen.sent.values() for each in numbers.values()]
    rows = [
        ["questions asked", seen.asked],
        ["connections made", seen.connects],
        ["wakes from a sleep", found.wakes],
        *[[f"kill -9 of the {kind}", count] for kind, count in kinds.items()],
        ["transactions acknowledged", sum(map(len, seen.commits.values()))],
        ["notifications acknowledged", sum(each.acknowledged_at is not None for each in sent)],
        ["notifications heard", sum(len(life.heard) for life in seen.lives)],
        ["in flight at a kill", found.heard.in_flight],
        *[
            [f"{state}, session {'goes on' if goes_on else 'ends'}", count]
            for (state, goes_on), count in sorted(errors.items())
        ],
        ["not explained", len(found.problems)],
    ]
    return table(("WHAT", "COUNT"), [[str(cell) for cell in row] for row in rows], right=(1,))


if __name__ == "__main__":
    main()
