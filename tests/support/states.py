"""A database for tests of what sessions have: roles with and without rights, a table."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from support.up import Database, Up, a_database
from support.wire_client import WireClient, logged_in

ROLES = [
    {"name": "app"},
    {"name": "other", "password": "other"},
    {"name": "boss", "password": "boss", "superuser": True},
]


@contextlib.contextmanager
def a_shared_database(up: Up) -> Iterator[Database]:
    """One for all kinds of state: each test leaves its session without any."""
    with a_database(up, roles=ROLES) as database:
        with logged_in_as(database, "boss") as boss:
            boss.query("grant other to app; grant create on schema public to app")
            boss.query("create table public.kept (n int)")
        yield database


@contextlib.contextmanager
def logged_in_as(database: Database, user: str) -> Iterator[WireClient]:
    with logged_in(database, user=user) as client:
        yield client
