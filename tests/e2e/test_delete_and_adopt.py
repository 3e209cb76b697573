"""A deleted database leaves its data, and the next one of its name finds it; or leaves nothing."""

from __future__ import annotations

import psycopg
import pytest

from e2e import kubectl
from e2e.conftest import MakeDatabase
from e2e.database import KIND, Database


def fill(database: Database) -> None:
    with database.connect() as client:
        client.execute("create table kept as select 42 as answer")


def answer(database: Database) -> int:
    with database.connect() as client:
        row = client.execute("select answer from kept").fetchone()
    assert row is not None
    return int(row[0])


def again(database: Database) -> Database:
    """Another resource of the same name."""
    made = Database(database.torpor, database.namespace, database.name, database.spec)
    made.apply()
    made.is_ready()
    return made


def test_data_that_was_kept_is_found_again_with_new_credentials(
    make_database: MakeDatabase,
) -> None:
    first = make_database(deletionPolicy="Retain")
    fill(first)
    password, epoch = first.binding["password"], first.epoch
    first.delete()
    assert kubectl.find("secret", "db1-app", first.namespace) is None
    second = again(first)
    assert second.epoch == epoch
    assert second.binding["password"] != password
    assert answer(second) == 42
    assert second.epoch == epoch + 1
    second.apply(deletionPolicy="Delete")


def test_data_that_was_not_kept_is_erased(make_database: MakeDatabase) -> None:
    first = make_database(deletionPolicy="Delete")
    fill(first)
    first.delete()
    assert kubectl.find(KIND, first.name, first.namespace) is None
    second = again(first)
    assert second.epoch == 0
    with pytest.raises(psycopg.errors.UndefinedTable):
        answer(second)
