"""Roles of which an export does not say enough: they are judged by Postgres, awake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from support.up import Database, Up, a_database
from support.wire_client import logged_in
from torpor_api.scram import verifier_of

ROLES = 6000

LAST = f"role_{ROLES}"

PASSWORD = "of them all"

VERIFIER = str(verifier_of(PASSWORD, b"0123456789abcdef", 4096))

MAKE_ROLES = f"""INSERT INTO pg_authid (oid, rolname, rolpassword, rolcanlogin, rolsuper,
    rolinherit, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolconnlimit)
SELECT 100000 + number, 'role_' || number, '{VERIFIER}', true, false,
    true, false, false, false, false, -1 FROM generate_series(1, {ROLES}) number;
GRANT torpor_login TO role_1"""
"""CREATE ROLE would take minutes for so many."""


@pytest.fixture
def place(up: Up) -> Iterator[Database]:
    """Asleep, after a superuser has made the roles."""
    with a_database(up, roles=[{"name": "app", "superuser": True}]) as database:
        with logged_in(database) as client:
            client.query(MAKE_ROLES)
        database.fall_asleep()
        yield database


def connect(place: Database, user: str, password: str, dbname: str = "") -> psycopg.Connection[Any]:
    address: dict[str, Any] = {"host": place.up.host, "port": place.up.port, "sslmode": "disable"}
    dbname = dbname or place.connection().database
    options = f"endpoint={place.name}"
    return psycopg.connect(
        **address, user=user, password=password, dbname=dbname, options=options, autocommit=True
    )


def is_refused(place: Database, user: str, password: str) -> bool:
    with pytest.raises(psycopg.OperationalError) as told:
        connect(place, user, password)
    return f'password authentication failed for user "{user}"' in str(told.value)


def test_whom_it_knows_wakes_nobody_with_a_wrong_password(place: Database) -> None:
    epoch = place.epoch
    for user in ("app", "role_1"):
        assert is_refused(place, user, "wrong")
    assert place.is_asleep and place.epoch == epoch
    with connect(place, "role_1", PASSWORD) as client:
        assert client.execute("select current_user").fetchone() == ("role_1",)


def test_who_is_beyond_the_bound_is_asked_for_and_so_is_who_does_not_exist(place: Database) -> None:
    epoch = place.epoch
    with connect(place, LAST, PASSWORD) as client:
        assert place.epoch == epoch + 1
        assert client.execute("select current_user").fetchone() == (LAST,)
    for user in (LAST, "nobody"):
        place.fall_asleep()
        assert is_refused(place, user, "wrong")
    assert place.epoch == epoch + 3


def test_a_database_that_it_does_not_know_either_is_refused_by_postgres(place: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match='database "nowhere" does not exist'):
        connect(place, "role_1", PASSWORD, "nowhere").execute("select 1")


def test_a_role_that_was_made_by_sql_comes_in_asleep_with_its_password(up: Up) -> None:
    """The agent admits it when it first asks; nobody had asked before the database fell asleep."""
    with a_database(up, roles=[{"name": "app", "createrole": True}]) as place:
        with logged_in(place) as client:
            client.query(f"CREATE ROLE fresh LOGIN PASSWORD '{VERIFIER}'")
        place.fall_asleep()
        epoch = place.epoch
        assert is_refused(place, "fresh", "wrong")
        assert place.is_asleep and place.epoch == epoch
        with connect(place, "fresh", PASSWORD) as fresh:
            assert fresh.execute("select current_user").fetchone() == ("fresh",)
        assert place.epoch == epoch + 1
        place.fall_asleep()
        with connect(place, "fresh", PASSWORD):
            assert place.is_asleep
