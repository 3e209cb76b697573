"""Databases of one name in two namespaces: apart whichever way they are reached, and in sleep."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.up import WAIT_SECONDS_MAX, Database, Up, until
from torpor_cli.client import ask_autoscaler, ask_cluster

PLACES = ({"name": "twin"}, {"name": "twin", "namespace": "team"})


@pytest.fixture(scope="module")
def both(up: Up) -> Iterator[tuple[Database, Database]]:
    """``twin`` and ``twin.team``, each with its endpoint's name in it."""
    found = []
    for metadata in PLACES:
        name = ".".join(metadata.values())
        applied(up, metadata, idleTimeout="1h")
        database = Database(up, name, {})
        with psycopg.connect(database.uri(), autocommit=True) as session:
            # Of a worker that comes back to these tests, they may be there already.
            session.execute("DROP TABLE IF EXISTS who")
            session.execute("CREATE TABLE who (name text)")
            session.execute("INSERT INTO who VALUES (%s)", [name])
        found.append(database)
    yield found[0], found[1]
    for metadata in PLACES:
        applied(up, metadata, idleTimeout="1s")


def applied(up: Up, metadata: dict[str, str], **spec: str) -> None:
    """And known to whoever connects next."""
    resource = {"metadata": metadata, "spec": spec}
    stored = ask_cluster(up.folder, "ApplyResource", timeout_s=WAIT_SECONDS_MAX, resource=resource)[
        "resource"
    ]
    name, generation = ".".join(metadata.values()), stored["metadata"]["generation"]
    ask_autoscaler(up.folder, "AwaitKnown", name=name, generation=generation)


def asked(database: Database, **how: Any) -> str:
    """Which of the two answers."""
    connection = database.connection()
    given = {
        "host": connection.address.host,
        "port": connection.address.port,
        "user": connection.role,
        "dbname": connection.database,
        "password": connection.password,
        "sslmode": "disable",
        **how,
    }
    with psycopg.connect(**given) as session:
        row = session.execute("SELECT name FROM who").fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("which", [0, 1])
def test_every_way_to_name_it_leads_to_the_right_one(
    both: tuple[Database, Database], which: int
) -> None:
    database = both[which]
    name, role = database.name, database.connection().role
    hosts = {f"{name}.localhost"} | ({f"{name}.default.localhost"} if which == 0 else set())
    for host in hosts:
        address = database.connection().address.host
        assert asked(database, host=host, hostaddr=address, sslmode="require") == name
    assert asked(database, options=f"endpoint={name}") == name
    assert asked(database, dbname=f"{name}/app") == name
    assert asked(database, user=f"{role}@{name}") == name


def test_a_password_of_the_one_is_none_of_the_other(both: tuple[Database, Database]) -> None:
    here, there = both
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        asked(here, options=f"endpoint={there.name}")


def test_each_sleeps_by_itself_and_keeps_its_clients(both: tuple[Database, Database]) -> None:
    here, there = both
    with psycopg.connect(there.uri(), autocommit=True) as held:
        held.execute("SET application_name = 'held'")
        here.wake()
        there.fall_asleep()
        assert not here.is_asleep
        row = held.execute("SELECT name, current_setting('application_name') FROM who").fetchone()
        assert row == (there.name, "held")
    until(lambda: not there.is_asleep, "it is awake again")
    assert here.folder != there.folder and here.epoch < there.epoch
