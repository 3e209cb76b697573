"""The two ways to one and the same data: straight to a Postgres, and through Torpor.

The straight side is a bare Postgres on a copy of the database that Torpor serves, with the binaries
and the settings that Torpor's compute has. Both are reached over TCP on this machine.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

import psycopg

from rig.postgres import copy_of
from support.scratch import fast_folder
from support.up import Database, Up

UNITS = {"minCU": 4}
"""As many parallel workers as the regression suite expects to get, from its first query on."""

ROLE = "postgres"
"""A superuser of the spec; suites expect that name of it."""

SPEC = {
    "maxCU": 4,
    "roles": [{"name": "app"}, {"name": ROLE, "superuser": True}],
    "databases": [{"name": "app", "owner": "app"}],
}


@dataclass(frozen=True, slots=True)
class Side:
    """Where a suite connects."""

    name: str
    host: str
    port: int
    password: str
    database: Database | None = None
    """As Torpor knows it; None: this is the straight side."""
    parks: bool = False
    """Whether each safe point parks the session."""

    @property
    def slug(self) -> str:
        """For the names of folders."""
        return self.name.split()[0]

    @property
    def user(self) -> str:
        """For a driver that can't send ``options``: the role, and whose it is."""
        return ROLE if self.database is None else f"{ROLE}@{self.database.name}"

    def environment(self, dbname: str = "postgres") -> dict[str, str]:
        """For libpq, over the environment of this process without its own settings for it."""
        options = {} if self.database is None else {"PGOPTIONS": f"endpoint={self.database.name}"}
        own = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return (
            own
            | options
            | {
                "PGHOST": self.host,
                "PGPORT": str(self.port),
                "PGUSER": ROLE,
                "PGPASSWORD": self.password,
                "PGDATABASE": dbname,
                # The bare Postgres has no certificate, and both sides shall be alike.
                "PGSSLMODE": "disable",
            }
        )

    def run_sql(self, *statements: str, dbname: str = "postgres") -> None:
        """Each in a transaction of its own."""
        with self.connect(dbname) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def connect(self, dbname: str = "postgres") -> psycopg.Connection:
        options = "" if self.database is None else f"endpoint={self.database.name}"
        return psycopg.connect(
            host=self.host,
            port=self.port,
            user=ROLE,
            password=self.password,
            dbname=dbname,
            options=options,
            autocommit=True,
        )


@contextlib.contextmanager
def both_sides(up: Up, *, parks: bool) -> Iterator[tuple[Side, Side]]:
    """A new database, straight and through Torpor."""
    database = up.database(**SPEC)
    password = database.connection(ROLE).password or ""
    database.fall_asleep()
    with copy_of(database.folder / "data", tcp=True, parent=str(fast_folder())) as bare:
        bare.start()
        bare.client().close()
        database.apply(**UNITS)
        straight = Side("straight", "127.0.0.1", bare.target.port, password)
        yield straight, Side("through Torpor", up.host, up.port, password, database, parks)


def proves_parking(side: Side) -> None:
    """Raises AssertionError where the sessions of this side are not parked at safe points."""
    with side.connect() as connection:
        ask = "SELECT pg_backend_pid()"
        first, second = (connection.execute(ask).fetchone() for _ in range(2))
    assert first != second, f"the session kept its backend {first}: it is not parked"
