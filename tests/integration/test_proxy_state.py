"""Sessions with state: each kind keeps its database awake and is named; without it they sleep."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from support.up import Database, Up, a_database, running_up, until
from support.wire_client import Reported, WireClient, logged_in, query, rows_of
from torpor_proxy.core import wire

ROLES = [
    {"name": "app"},
    {"name": "other", "password": "other"},
    {"name": "boss", "password": "boss", "superuser": True},
]


@pytest.fixture(scope="module")
def shared(up: Up) -> Iterator[Database]:
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


STATES = {
    "setting": ("set work_mem to '1MB'", "reset work_mem", "has set work_mem"),
    "several settings": (
        "set work_mem to '1MB'; set enable_seqscan to off",
        "reset all",
        "has set enable_seqscan, has set work_mem",
    ),
    "custom setting": ("set app.tenant = '7'", "reset app.tenant", "has set app.tenant"),
    "quoted custom setting": (
        "set \"app.tenant\" = '7'",
        "reset app.tenant",
        "has set app.tenant",
    ),
    "custom setting of a function": (
        "create function pg_temp_set() returns text language sql as "
        "$$ select set_config('shop.cart', '3', false) $$; select pg_temp_set()",
        "reset shop.cart; drop function pg_temp_set()",
        "has set shop.cart",
    ),
    "custom setting of a new-style function": (
        "create function modern() returns text begin atomic "
        "select set_config('shop.cart', '3', false); end; select modern()",
        "reset shop.cart; drop function modern()",
        "may have set a custom setting by modern",
    ),
    "custom setting of a view": (
        "create view cart as select set_config('shop.cart', '3', false); table cart",
        "reset shop.cart; drop view cart",
        "may have set a custom setting by cart",
    ),
    "prepared statement": ("prepare p as select 1", "deallocate p", "has prepared statement p"),
    "channel": ("listen news", "unlisten *", "listens on news"),
    "role": ("set role other", "reset role", "has set its role to other"),
    "advisory lock": (
        "select pg_advisory_lock(42)",
        "select pg_advisory_unlock(42)",
        "holds advisory lock 42",
    ),
    "large advisory lock": (
        "select pg_advisory_lock(4294967338)",
        "select pg_advisory_unlock_all()",
        "holds advisory lock 4294967338",
    ),
    "advisory lock of two numbers": (
        "select pg_advisory_lock_shared(4, 2)",
        "select pg_advisory_unlock_shared(4, 2)",
        "holds advisory lock 4, 2",
    ),
    "cursor": (
        "begin; declare c cursor with hold for select 1; commit",
        "close c",
        "has cursor c with hold",
    ),
    "temporary table": (
        "create temporary table scratch (n int)",
        "drop table scratch",
        "has temporary table scratch",
    ),
    "temporary function": (
        "create function pg_temp.f() returns int language sql as 'select 1'",
        "drop function pg_temp.f()",
        "has temporary function pg_temp",
    ),
    "idle_session_timeout": (
        "set idle_session_timeout to '1h'",
        "reset idle_session_timeout",
        "has an idle_session_timeout",
    ),
    "transaction": ("begin", "commit", "is idle in a transaction"),
}


@pytest.mark.parametrize("kind", STATES)
def test_each_kind_of_state(shared: Database, kind: str) -> None:
    begin, end, words = STATES[kind]
    with logged_in(shared, application_name="tester") as client:
        client.ask(query(begin))
        shared.refuses_to_sleep(words)
        parts = ("session ", "user app", "application tester", words)
        until(
            lambda: any(all(part in line for part in parts) for line in shared.why.splitlines()),
            f"why names session and state: {words}",
        )
        epoch = shared.epoch
        assert client.query("select 'untouched'") == [(b"untouched",)]
        client.ask(query(end))
        shared.fall_asleep()
        assert client.query("select 'after'") == [(b"after",)]
        assert shared.epoch == epoch + 1


def test_a_failed_transaction(shared: Database) -> None:
    with logged_in(shared) as client:
        client.ask(query("begin; select 1/0"))
        shared.refuses_to_sleep("is idle in a transaction")
        client.query("rollback")
        shared.fall_asleep()


def test_a_state_is_untouched_by_the_attempts_to_sleep(shared: Database) -> None:
    with logged_in(shared) as client:
        client.query("set search_path to other; prepare p as select 'kept'; listen news")
        client.query("create temporary table scratch as select 7 as n")
        client.ask(wire.parse("", "select 'unnamed'") + wire.SYNC)
        for _ in range(3):
            shared.refuses_to_sleep("listens on news")
        said = client.ask(wire.bind("") + wire.execute() + wire.SYNC)
        assert rows_of(said) == [(b"unnamed",)]
        assert client.query("execute p") == [(b"kept",)]
        assert client.query("select n from scratch") == [(b"7",)]
        said = client.ask(query("notify news, 'hello'"))
        assert [kind for kind, _ in said].count(b"A") == 1


def test_a_protocol_level_statement(shared: Database) -> None:
    with logged_in(shared) as client:
        client.ask(wire.parse("named", "select 7") + wire.SYNC)
        shared.refuses_to_sleep("has prepared statement named")
        client.ask(wire.close_statement("named") + wire.SYNC)
        shared.fall_asleep()


def test_session_authorization(shared: Database) -> None:
    with logged_in_as(shared, "boss") as client:
        client.query("set session authorization other")
        shared.refuses_to_sleep("has set its session authorization to other")
        client.query("reset session authorization")
        shared.fall_asleep()


def test_a_computed_name_pins_for_good(shared: Database) -> None:
    with logged_in(shared) as client:
        client.query("select set_config('a' || '.b', '', false)")
        shared.refuses_to_sleep("custom setting by a computed name")


def test_a_statement_that_a_function_puts_together(shared: Database) -> None:
    with logged_in_as(shared, "boss") as boss, logged_in(shared) as client:
        boss.query(
            "create function dynamic() returns void language plpgsql as "
            "$$ begin execute format('set %I.%I = %L', 'shop', 'cart', '3'); end $$"
        )
        client.query("select dynamic()")
        shared.refuses_to_sleep("may have set a custom setting by dynamic")
        client.query("reset shop.cart")
        boss.query("drop function dynamic()")
    with logged_in(shared):
        shared.fall_asleep()


def test_what_reset_goes_to_stays_as_it_was(shared: Database) -> None:
    """As in a session that Postgres holds: a changed default counts for new sessions only."""
    with logged_in_as(shared, "boss") as boss:
        boss.query("alter role app set work_mem to '1MB'")
        try:
            with logged_in(shared) as client:
                assert client.query("show work_mem") == [(b"1MB",)]
                boss.query("alter role app set work_mem to '2MB'")
                for _ in range(2):
                    shared.fall_asleep()
                    assert client.query("show work_mem") == [(b"1MB",)]
                client.query("set work_mem to '3MB'")
                client.query("reset work_mem")
                assert client.query("show work_mem") == [(b"1MB",)]
                with logged_in(shared) as newcomer:
                    assert newcomer.query("show work_mem") == [(b"2MB",)]
        finally:
            boss.query("alter role app reset work_mem")


def test_an_unnamed_statement_that_is_too_long_to_be_kept(shared: Database) -> None:
    with logged_in(shared) as client:
        client.ask(wire.parse("", f"select '{'x' * 70_000}'") + wire.SYNC)
        shared.refuses_to_sleep("unnamed statement that is too long")
        client.query("select 1")
        shared.fall_asleep()


def test_a_login_event_trigger(up: Up) -> None:
    with a_database(up, roles=ROLES) as database, logged_in_as(database, "boss") as boss:
        boss.query(
            "create function greet() returns event_trigger language plpgsql as "
            "$$ begin raise notice 'hello'; end $$;"
            "create event trigger greeting on login execute function greet()"
        )
        database.refuses_to_sleep("login event trigger greeting")
        boss.query("drop event trigger greeting")
        database.fall_asleep()


def test_the_states_of_several_sessions_are_all_named(shared: Database) -> None:
    with logged_in(shared) as one, logged_in(shared) as two:
        one.query("listen one")
        two.query("listen two")
        shared.refuses_to_sleep("listens on one")
        shared.refuses_to_sleep("listens on two")


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
        client.query(f"set {name} to {value if ',' in value else repr(value)}")
        shared.refuses_to_sleep(f"has set {name}")
        client.query("reset all")
        client.query("drop schema if exists traps cascade")
        shared.fall_asleep()


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
        shared.refuses_to_sleep(f"has prepared statement {name}")


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
    with running_up(TORPOR_PROXY_PROBE_TIMEOUT_S="0.2") as up:
        yield up
