"""Whatever a client has set or somebody has locked, a session is asked for its state all right."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.states import ROLES, a_shared_database, logged_in_as
from support.up import Database, Up, a_database, running_up, until
from support.wire_client import Reported, WireClient, logged_in, rows_of
from torpor_proxy.core import wire


@pytest.fixture(scope="module")
def shared(up: Up) -> Iterator[Database]:
    with a_shared_database(up) as database:
        yield database


# --- whatever a client has set, the question is understood --------------------------------

STRANGE = {
    "a search_path full of traps": (
        "create schema traps;"
        "create view traps.pg_settings as select 'x'::text as name, 'session'::text as source;"
        "create view traps.pg_prepared_statements as select 'x'::text as name;"
        "create view traps.pg_locks as select 1 as pid;"
        "create view traps.pg_cursors as select 'x'::text as name, true as is_holdable;"
        "create view traps.pg_depend as select 2615 as refclassid;"
        "create view traps.pg_proc as select 'x'::text as proname;"
        "create function traps.current_setting(text) returns text language sql as "
        "$$ select 'x'::text $$;"
        "create function traps.starts_with(text, text) returns bool language sql as "
        "$$ select true $$;"
        "create function traps.lower(text) returns text language sql as $$ select 'x'::text $$;"
        "create domain traps.text as int; create domain traps.oid as int;"
        "create function traps.eq(text, text) returns bool language sql as $$ select true $$;"
        "create operator traps.= (leftarg = text, rightarg = text, function = traps.eq);"
        "create operator traps.<> (leftarg = text, rightarg = text, function = traps.eq);",
        "search_path",
        "traps, pg_catalog",
    ),
    "LATIN1": ("", "client_encoding", "LATIN1"),
    "backslashes in literals": ("", "standard_conforming_strings", "off"),
    "serializable": ("", "default_transaction_isolation", "serializable"),
    "read only": ("", "default_transaction_read_only", "on"),
    "deferrable": ("", "default_transaction_deferrable", "on"),
    "strange output": ("", "bytea_output", "escape"),
    "strange arrays": ("", "array_nulls", "off"),
    "strict quoting": ("", "quote_all_identifiers", "on"),
    "generic plans": ("", "plan_cache_mode", "force_generic_plan"),
    "no planner": ("", "enable_seqscan", "off"),
    "a hurry": ("", "lock_timeout", "1"),
}


@pytest.mark.parametrize("kind", STRANGE)
def test_the_question_is_understood_whatever_is_set(shared: Database, kind: str) -> None:
    setup, name, value = STRANGE[kind]
    with logged_in(shared) as client:
        client.query(setup)
        client.ask(wire.parse("s", "select 'prepared'") + wire.SYNC)
        client.query(f"set {name} to {value if ',' in value else repr(value)}")
        (before,) = client.query(f"show {name}")
        shared.fall_asleep()
        assert client.query(f"show {name}") == [before]
        said = client.ask(wire.bind("s") + wire.execute() + wire.SYNC)
        assert rows_of(said) == [(b"prepared",)]
        client.query("reset all")
        client.query("drop schema if exists traps cascade")


def test_strange_settings_of_the_startup_packet(shared: Database) -> None:
    """Not the session's own: it may sleep, and it has them again afterwards."""
    settings: dict[str, Any] = {
        "client_encoding": "LATIN1",
        "standard_conforming_strings": "off",
        "default_transaction_isolation": "serializable",
        "default_transaction_read_only": "on",
        "default_transaction_deferrable": "on",
    }
    with logged_in(shared, **settings) as client:
        client.query("select 1")
        shared.fall_asleep()
        for name, value in settings.items():
            assert client.query(f"show {name}") == [(value.encode(),)]


def test_a_role_without_any_right(shared: Database) -> None:
    with logged_in_as(shared, "other") as client:
        with pytest.raises(Reported, match="42501"):
            client.query("select * from public.kept")
        shared.fall_asleep()
        assert client.query("select current_user") == [(b"other",)]


def test_names_that_are_no_identifiers(shared: Database) -> None:
    name = "no \\ 'id\"é☃"
    quoted = name.replace('"', '""')
    with logged_in(shared) as client:
        client.query(f'prepare "{quoted}" as select 1')
        shared.fall_asleep()
        assert client.query(f'execute "{quoted}"') == [(b"1",)]


# --- where its client's own timeout is shorter than the question ------------------------------

HURRIED_SLEEPS = 5


def patiently(client: WireClient, sql: str) -> list[tuple[bytes | None, ...]]:
    """The client's own statements are in a hurry too."""
    while True:
        try:
            return client.query(sql)
        except Reported as error:
            assert error.fields["C"] == "57014", error


def test_a_timeout_of_a_millisecond_keeps_nobody_awake(shared: Database) -> None:
    with logged_in(shared) as client:
        client.query("set statement_timeout to 1")
        for _ in range(HURRIED_SLEEPS):
            patiently(client, "select 1")
            shared.fall_asleep()
        assert patiently(client, "show statement_timeout") == [(b"1ms",)]
        patiently(client, "reset statement_timeout")
        assert client.query("show statement_timeout") == [(b"0",)]
        shared.fall_asleep()
        assert client.query("show statement_timeout") == [(b"0",)]


def test_a_role_s_timeout_of_a_millisecond_keeps_nobody_awake(shared: Database) -> None:
    with logged_in_as(shared, "boss") as boss:
        boss.query("alter role app set statement_timeout to 1")
        try:
            with logged_in(shared) as client:
                patiently(client, "select 1")
                boss.query("alter role app set statement_timeout to 2")
                for _ in range(2):
                    shared.fall_asleep()
                    assert patiently(client, "show statement_timeout") == [(b"1ms",)]
                patiently(client, "set statement_timeout to 0")
                shared.fall_asleep()
                assert client.query("show statement_timeout") == [(b"0",)]
                client.query("reset statement_timeout")
                assert patiently(client, "show statement_timeout") == [(b"1ms",)]
        finally:
            boss.query("alter role app reset statement_timeout")


# --- where the question meets something in its way -------------------------------------------


def test_a_question_that_waits_for_a_lock_harms_nobody(up_in_a_hurry: Up) -> None:
    """Somebody locks the catalog: the session is not let go, and its next query is served."""
    with a_database(up_in_a_hurry, roles=ROLES) as database, logged_in_as(database, "boss") as boss:
        with logged_in(database) as client:
            client.query("select 1")
            boss.query("begin; lock table pg_catalog.pg_proc, pg_catalog.pg_depend")
            client.query("select 'asked'")
            until(lambda: "could not be read" in database.why, "the question was given up")
            assert client.query("select 'served'") == [(b"served",)]
            boss.query("rollback")
            assert client.query("select 'afterwards'") == [(b"afterwards",)]
            boss.query("reset all")
            database.fall_asleep()
            assert client.query("select 'after'") == [(b"after",)]


@pytest.fixture(scope="module")
def up_in_a_hurry() -> Iterator[Up]:
    with running_up(TORPOR_PROXY_CAPTURE_TIMEOUT_S="0.2") as up:
        yield up


def test_texts_that_the_client_s_encoding_lacks_are_put_back(shared: Database) -> None:
    with logged_in(shared) as client:
        client.query("set app.name to 'é☃'")
        client.query('prepare "☃" as select 1')
        client.query("set client_encoding to 'LATIN1'")
        shared.fall_asleep()
        assert client.query("show client_encoding") == [(b"LATIN1",)]
        client.query("set client_encoding to 'UTF8'")
        assert client.query("show app.name") == [("é☃".encode(),)]
        assert client.query('execute "☃"') == [(b"1",)]
