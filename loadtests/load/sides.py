"""The two sides of a run: databases behind Torpor, and one Postgres that is always on.

The always-on one is an ordinary Postgres from the same binaries, with the settings of a compute, on
the same machine. It is one for all databases: that is what a person would run beside Torpor.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from load import questions
from load.fleet_file import Target
from load.scenario import Scenario, database_name
from load.watcher import fleet
from rig.client import Target as Address
from rig.postgres import copy_of
from rig.progress import Progress
from rig.torpor import torpor_up
from torpor_api.phases import Phase
from torpor_cli.local.machine import OnMachine
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.place import Place
from torpor_proxy.settings import PREFIX

ASLEEP_SECONDS_MAX = 180.0
"""Until all sleep, after they were made."""

POLL_SECONDS = 0.1

ALWAYS_ON_CLIENTS_MAX = 1000
"""That it has connections for. Each is a process with some 2 MB of its own: ten thousand would be
all of a 24 GB machine, which is why nobody runs it so."""

SPARE_CONNECTIONS = 20

SPEC = "{idleTimeout: %gs, roles: [{name: app, createdb: true}]}"
"""The same role makes the databases of the always-on side."""

LENDER = Scenario("lender", "", 1, (), 1.0, ())
"""A database without clients."""


@dataclass(frozen=True, slots=True)
class Torpor:
    """Databases that sleep, and whom to ask about them."""

    targets: list[Target]
    place: Place | None
    """None: nobody can be asked."""
    data: Path | None = None
    """Of the first of them, where it is on this machine."""

    def until_asleep(self) -> None:
        """All of them, with a pool that is as full as it wants to be."""
        if self.place is None:
            return
        names = {target.name for target in self.targets}
        deadline = time.monotonic() + ASLEEP_SECONDS_MAX
        while awake := [
            f"{row['name']}: {row['why'] or row['phase']}"
            for row in fleet(self.place)
            if row["name"] in names and row["phase"] != Phase.SUSPENDED
        ]:
            if time.monotonic() > deadline:
                raise RuntimeError(f"still awake: {'; '.join(awake[:5])}")
            time.sleep(POLL_SECONDS)
        while any(pool["warm"] < pool["wanted"] for pool in self._pools(self.place)):
            if time.monotonic() > deadline:
                raise RuntimeError("the warm pool does not fill")
            time.sleep(POLL_SECONDS)

    def _pools(self, place: Place) -> list[dict[str, Any]]:
        pools: list[dict[str, Any]] = place.ask_autoscaler("AskComputes")["pools"]
        return pools


@contextlib.contextmanager
def torpor_here(scenario: Scenario, progress: Progress) -> Iterator[Torpor]:
    """A `torpor up` of its own, with databases that are made and asleep."""
    names = [database_name(number) for number in range(scenario.databases)]
    spec = SPEC % scenario.idle_timeout_s
    progress.step(f"making {len(names)} databases")
    patience = {f"{PREFIX}WAKE_TIMEOUT_S": str(scenario.wake_timeout_s)}
    with torpor_up(*names, warm=scenario.warm, spec=spec, environment=patience) as running:
        folder = StateFolder(running.state)
        place = OnMachine(folder)
        targets = [Target(name, place.connection(name).uri + "&sslmode=disable") for name in names]
        made = Torpor(targets, place, running.state / "databases" / names[0] / "data")
        prepare(made.targets)
        made.until_asleep()
        yield made


@contextlib.contextmanager
def always_on_here(torpor: Torpor, names: Sequence[str], clients: int) -> Iterator[list[Target]]:
    """The same databases in one Postgres, on a copy of the first one's data.

    Where that is somewhere else, a Torpor on this machine lends its own.
    """
    with contextlib.ExitStack() as ending:
        data, uri = torpor.data, torpor.targets[0].uri
        if data is None:
            lender = ending.enter_context(torpor_here(LENDER, Progress("always on")))
            data, uri = lender.data, lender.targets[0].uri
        assert data is not None
        connections = min(clients, ALWAYS_ON_CLIENTS_MAX) + SPARE_CONNECTIONS
        postgres = ending.enter_context(
            copy_of(
                data,
                tcp=True,
                password=str(conninfo_to_dict(uri)["password"]),
                settings={"max_connections": str(connections)},
            )
        )
        postgres.up()
        yield _inner_databases(postgres.target, names)


def _inner_databases(address: Address, names: Sequence[str]) -> list[Target]:
    """Copies of the one that is there, with these names."""
    base = f"postgresql://{address.user}:{address.password}@{address.host}:{address.port}"
    with psycopg.connect(f"{base}/postgres?sslmode=disable", autocommit=True) as connection:
        for name in names:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {address.database}'.encode())
    return [Target(name, f"{base}/{name}?sslmode=disable") for name in names]


def prepare(targets: Sequence[Target]) -> None:
    """The tables, in a schema of their own. Raises psycopg.Error."""
    for target in targets:
        with psycopg.connect(target.uri, autocommit=True) as connection:
            connection.execute(questions.TABLES.encode())


def clean(targets: Sequence[Target]) -> None:
    """Nothing of the tables is left."""
    for target in targets:
        with psycopg.connect(target.uri, autocommit=True) as connection:
            connection.execute(questions.NO_TABLES.encode())


def unbalanced(targets: Sequence[Target], acknowledged: dict[str, int], failed: int) -> int:
    """Transactions that are lost or half done, over all databases. One that failed may be there."""
    found = 0
    for target in targets:
        with psycopg.connect(target.uri, autocommit=True) as connection:
            row = connection.execute(questions.BALANCES.encode()).fetchone()
        assert row is not None
        count, *sums = row
        expected = acknowledged.get(target.name, 0)
        found += max(0, expected - count, count - expected - failed) + (len(set(sums)) > 1)
    return found
