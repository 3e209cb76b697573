"""Many sessions on few connections: two thousand clients that ask without a pause, on fifty.

Through Torpor each has its whole session: a setting and a prepared statement of its own, which the
query uses, so that an answer from another's session ends the benchmark; and so does any error. The
reference is PgBouncer in transaction mode with as many connections to a bare Postgres: its clients
have no session, so they ask for a constant. Both are measured in turn, in the same run.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

from rig import pgbouncer
from rig.client import Client, Target, query_packet
from rig.crowd import Asker, keep_asking
from rig.figures import Part
from rig.holder import raise_file_limit
from rig.postgres import copy_of
from rig.progress import Progress
from rig.scram_client import with_one_password
from rig.torpor import torpor_up

NAME = "multiplex"
CLIENTS = 2000
CONNECTIONS = 50
HEADLINE = f"queries of {CLIENTS} clients on {CONNECTIONS} connections"
REFERENCE = "pgbouncer, no sessions"

SMALL = {"TORPOR_COMPUTE_MAX_CONNECTIONS": str(CONNECTIONS + 1)}
"""One is kept for sessions that listen while they are parked."""

ROUNDS = 3
ROUND_SECONDS = 30.0
"""Long enough that everybody has had a turn."""

OPEN_FILES = 20_000
DATABASE = "bench"


def run(progress: Progress, *, rounds: int = ROUNDS) -> list[Part]:
    """Rates, and what a client waits."""
    raise_file_limit(OPEN_FILES)
    with contextlib.ExitStack() as ending:
        progress.step(f"starting Torpor with {CONNECTIONS} connections for {CLIENTS} clients")
        torpor = ending.enter_context(torpor_up(DATABASE, environment=SMALL))
        target = torpor.target(DATABASE)
        Client(target).close()
        torpor.suspend(DATABASE)
        crowds = {}
        if program := pgbouncer.program(progress):
            data = torpor.state / "databases" / DATABASE / "data"
            postgres = ending.enter_context(copy_of(data))
            postgres.up()
            bounced = pgbouncer.bouncing(
                program,
                postgres.target,
                mode="transaction",
                clients=CLIENTS,
                connections=CONNECTIONS,
            )
            bouncer = ending.enter_context(bounced)
            crowds["pgbouncer"] = _crowd(bouncer, ending, with_session=False)
        progress.step(f"{CLIENTS} sessions are made, each with a state of its own")
        crowds["torpor"] = _crowd(target, ending, with_session=True)
        return _measured(crowds, rounds, progress)


def _crowd(target: Target, ending: contextlib.ExitStack, *, with_session: bool) -> list[Asker]:
    with with_one_password():
        clients = [ending.enter_context(_client(target)) for _ in range(CLIENTS)]
    names = [f"client {number}." for number in range(CLIENTS)]
    if with_session:
        keep_asking([_founder(*each) for each in zip(clients, names, strict=True)], 0.0)
    return [
        Asker(
            client.socket,
            query_packet("EXECUTE mine" if with_session else f"SELECT '{name}'"),
            name.encode(),
        )
        for client, name in zip(clients, names, strict=True)
    ]


def _founder(client: Client, name: str) -> Asker:
    """Gives a session what no other one has."""
    setting = query_packet(f"SET app.who = '{name}'")
    statement = query_packet("PREPARE mine AS SELECT current_setting('app.who')")
    return Asker(client.socket, setting + statement, b"PREPARE", readies=2)


@contextlib.contextmanager
def _client(target: Target) -> Iterator[Client]:
    with contextlib.closing(Client(target)) as client:
        yield client


def _measured(crowds: dict[str, list[Asker]], rounds: int, progress: Progress) -> list[Part]:
    rates: dict[str, list[float]] = {name: [] for name in ("torpor", "pgbouncer")}
    waits: dict[str, list[float]] = {name: [] for name in rates}
    longest: dict[str, list[float]] = {name: [] for name in rates}
    for number in range(rounds):
        for name, askers in sorted(crowds.items(), reverse=bool(number % 2)):
            rates[name].append(keep_asking(askers, ROUND_SECONDS) / ROUND_SECONDS)
            each = [asker.waits_s for asker in askers]
            waits[name] += [seconds * 1000 for seconds in itertools.chain.from_iterable(each)]
            longest[name] += [max(seconds) * 1000 for seconds in each]
        progress.count(HEADLINE, number + 1, rounds)
    kinds = (
        (HEADLINE, "queries/s", rates),
        ("wait for an answer", "ms", waits),
        ("longest wait of a client", "ms", longest),
    )
    return [
        Part(name, unit, tuple(found["torpor"]), tuple(found["pgbouncer"]), REFERENCE)
        for name, unit, found in kinds
    ]
