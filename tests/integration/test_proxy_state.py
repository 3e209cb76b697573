"""Sessions with state: each kind lives through a sleep, or keeps its database awake, by name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.states import ROLES, a_shared_database, logged_in_as
from support.up import Database, Up, a_database, until
from support.wire_client import Reported, logged_in, query, rows_of
from torpor_proxy.core import wire


@pytest.fixture(scope="module")
def shared(up: Up) -> Iterator[Database]:
    with a_shared_database(up) as database:
        yield database


MOVED = {
    "setting": ("set work_mem to '1MB'", "show work_mem", "1MB", "reset work_mem"),
    "several settings": (
        "set work_mem to '1MB'; set enable_seqscan to off",
        "select current_setting('work_mem') || current_setting('enable_seqscan')",
        "1MBoff",
        "reset all",
    ),
    "empty setting": ("set search_path to ''", "show search_path", '""', "reset search_path"),
    "list": ('set search_path to "a,b", c', "show search_path", '"a,b", c', "reset all"),
    "timeout": ("set statement_timeout to 5", "show statement_timeout", "5ms", "reset all"),
    "custom setting": ("set app.tenant = '7'", "show app.tenant", "7", "reset app.tenant"),
    "quoted custom setting": (
        "set \"app.tenant\" = 'é€'",
        "show app.tenant",
        "é€",
        "reset app.tenant",
    ),
    "custom setting that ended with its transaction": (
        "begin; set local app.local = '1'; commit",
        "select current_setting('app.local', true) is not null",
        "t",
        "select 1",
    ),
    "custom setting of a function": (
        "create function sets() returns text language sql as "
        "$$ select set_config('shop.cart', '3', false) $$; select sets()",
        "show shop.cart",
        "3",
        "reset shop.cart; drop function sets()",
    ),
    "custom setting of a function, quoted": (
        "create function quotes() returns void language plpgsql as "
        """$$ begin set"shop"."cart" = '3'; end $$; select quotes()""",
        "show shop.cart",
        "3",
        "reset shop.cart; drop function quotes()",
    ),
    "a short statement_timeout": (
        "set statement_timeout to 50",
        "show statement_timeout",
        "50ms",
        "set statement_timeout to 0",
    ),
    "prepared statement": ("prepare p as select 'é' as x", "execute p", "é", "deallocate p"),
    "role": ("set role other", "select current_user", "other", "reset role"),
    "role that is none": ("reset role", "show role", "none", "select 1"),
    "idle_session_timeout": (
        "set idle_session_timeout to '1h'",
        "show idle_session_timeout",
        "1h",
        "reset idle_session_timeout",
    ),
}

PINNED = {
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
    "several statements in a text": (
        "prepare p as select 1; select 2",
        "deallocate p",
        "has prepared statement p in a text of several statements",
    ),
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
    "transaction": ("begin", "commit", "is idle in a transaction"),
}


@pytest.mark.parametrize("kind", MOVED)
def test_each_kind_of_state_lives_through_a_sleep(shared: Database, kind: str) -> None:
    begin, look, value, end = MOVED[kind]
    with logged_in(shared) as client:
        client.ask(query(begin))
        for _ in range(2):
            shared.fall_asleep()
            epoch = shared.epoch
            assert client.query(look) == [(value.encode(),)]
            assert shared.epoch == epoch + 1
        client.ask(query(end))


@pytest.mark.parametrize("kind", PINNED)
def test_each_kind_of_state_that_pins(shared: Database, kind: str) -> None:
    begin, end, words = PINNED[kind]
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
        client.query("set search_path to other")
        client.query("prepare p as select 'kept'")
        client.query("create temporary table scratch as select 7 as n")
        client.ask(wire.parse("", "select 'unnamed'") + wire.SYNC)
        for _ in range(3):
            shared.refuses_to_sleep("has temporary table scratch")
        said = client.ask(wire.bind("") + wire.execute() + wire.SYNC)
        assert rows_of(said) == [(b"unnamed",)]
        assert client.query("execute p") == [(b"kept",)]
        assert client.query("select n from scratch") == [(b"7",)]
        assert client.query("show search_path") == [(b"other",)]


def test_protocol_level_statements_and_their_types(shared: Database) -> None:
    int8, text = 20, 25
    with logged_in(shared) as client:
        client.ask(wire.parse("named", "select $1::int8 + 1, $2") + wire.SYNC)
        before = client.ask(wire.describe_statement("named") + wire.SYNC)
        client.ask(wire.parse("", "select 'unnamed'") + wire.SYNC)
        shared.fall_asleep()
        said = client.ask(wire.bind("") + wire.execute() + wire.SYNC)
        assert rows_of(said) == [(b"unnamed",)]
        assert client.ask(wire.describe_statement("named") + wire.SYNC) == before
        types = b"".join(oid.to_bytes(4, "big") for oid in (int8, text))
        assert (b"t", b"\0\2" + types) in before
        said = client.ask(wire.bind("named", (b"41", b"x")) + wire.execute() + wire.SYNC)
        assert rows_of(said) == [(b"42", b"x")]


def test_an_unnamed_statement_that_is_gone_is_not_put_back(shared: Database) -> None:
    with logged_in(shared) as client:
        client.ask(wire.parse("", "select 'first'") + wire.SYNC)
        client.ask(wire.parse("", "select nonsense") + wire.SYNC)
        shared.fall_asleep()
        said = client.ask(wire.bind("") + wire.execute() + wire.SYNC)
        assert [wire.report_fields(body)["C"] for kind, body in said if kind == b"E"] == ["26000"]


def test_session_authorization(shared: Database) -> None:
    with logged_in_as(shared, "boss") as client:
        client.query("set session authorization app")
        client.query("set role other")
        shared.fall_asleep()
        assert client.query("select session_user, current_user") == [(b"app", b"other")]
        client.query("reset session authorization")
        assert client.query("select session_user, current_user") == [(b"boss", b"boss")]


def test_a_right_that_was_revoked_meanwhile_ends_the_session(shared: Database) -> None:
    with logged_in_as(shared, "boss") as boss, logged_in(shared) as client:
        client.query("set role other")
        boss.query("revoke other from app")
        try:
            shared.fall_asleep()
            with pytest.raises(Reported, match=r"42501.*can not go on.*set role"):
                client.query("select current_user")
            assert client.rest() == b""
        finally:
            boss.query("grant other to app")


def test_a_setting_whose_object_was_dropped_meanwhile_is_told(shared: Database) -> None:
    """All else is as it was, and what it is now is what RESET makes of it."""
    with logged_in_as(shared, "boss") as boss, logged_in(shared) as client:
        boss.query("create text search configuration public.gone (copy = simple)")
        boss.query("create access method gone type table handler heap_tableam_handler")
        for name in ("default_text_search_config", "default_table_access_method"):
            client.query(f"set {name} to gone")
        client.query("set work_mem to '1MB'; set app.tenant to '7'; set statement_timeout to '9s'")
        client.query("listen news")
        client.query("prepare p as select 'kept'")
        shared.fall_asleep()
        boss.query("drop text search configuration public.gone; drop access method gone")
        said = client.ask(query("execute p"))
        assert rows_of(said) == [(b"kept",)]
        notices = [wire.report_fields(body) for kind, body in said if kind == b"N"]
        assert [(each["S"], each["C"]) for each in notices] == [("WARNING", "01000")] * 2
        for name in ("default_text_search_config", "default_table_access_method"):
            assert any(name in each["M"] for each in notices)
        for name, value in (
            ("default_table_access_method", b"heap"),
            ("work_mem", b"1MB"),
            ("app.tenant", b"7"),
            ("statement_timeout", b"9s"),
        ):
            assert client.query(f"show {name}") == [(value,)]
        assert client.query("select pg_listening_channels()") == [(b"news",)]
        client.query("set work_mem to '2MB'")
        shared.fall_asleep()
        assert not [kind for kind, _ in client.ask(query("select 1")) if kind == b"N"]


def test_settings_of_an_extension_that_a_sleep_has_loaded_are_the_server_s(up: Up) -> None:
    """Until then they look like custom ones, which a session would have to get back."""
    with a_database(up, roles=ROLES) as database, logged_in_as(database, "boss") as boss:
        boss.query("alter system set shared_preload_libraries = pg_stat_statements")
        boss.query("alter system set pg_stat_statements.max = 200")
        boss.query("select pg_reload_conf()")
        boss.query("set app.tenant to '7'")
        for wanted in (200, 201, 202):
            database.fall_asleep()
            said = boss.ask(query("show pg_stat_statements.max"))
            assert rows_of(said) == [(b"%d" % wanted,)]
            assert b"N" not in [kind for kind, _ in said]
            assert boss.query("show app.tenant") == [(b"7",)]
            boss.query(f"alter system set pg_stat_statements.max = {wanted + 1}")


def test_custom_settings_that_an_extension_has_taken_meanwhile_are_told(up: Up) -> None:
    """Each of them Postgres would drop too, with a warning, when a session loads the extension."""
    with (
        a_database(up, roles=ROLES) as database,
        logged_in_as(database, "boss") as boss,
        logged_in(database) as client,
    ):
        boss.query("alter system set shared_preload_libraries = pg_stat_statements")
        client.query("set pg_stat_statements.track to 'none'")  # For superusers.
        client.query("set pg_stat_statements.nothing to '7'")  # There is none of that name.
        client.query("set app.tenant to '7'; set work_mem to '1MB'")
        boss.query("set pg_stat_statements.track to 'odd'")  # No value of it.
        database.fall_asleep()
        for session, names in (
            (client, ("pg_stat_statements.track", "pg_stat_statements.nothing")),
            (boss, ("pg_stat_statements.track",)),
        ):
            said = session.ask(query("show pg_stat_statements.track"))
            assert rows_of(said) == [(b"top",)]
            notices = [wire.report_fields(body) for kind, body in said if kind == b"N"]
            assert sorted(names) == sorted(each["M"].split('"')[1] for each in notices)
            assert all("extension" in each["M"] for each in notices)
        assert client.query("show app.tenant") == [(b"7",)]
        assert client.query("show work_mem") == [(b"1MB",)]
        database.fall_asleep()
        assert not [kind for kind, _ in client.ask(query("select 1")) if kind == b"N"]


def test_temporary_tablespaces_that_were_dropped_meanwhile_are_told(shared: Database) -> None:
    with logged_in_as(shared, "boss") as boss, logged_in(shared) as client:
        boss.query("set allow_in_place_tablespaces to on")
        boss.query("create tablespace gone location ''")
        boss.query("grant create on tablespace gone to app")
        client.query("set temp_tablespaces to gone")
        shared.fall_asleep()
        boss.query("drop tablespace gone")
        said = client.ask(query("show temp_tablespaces"))
        assert rows_of(said) == [(b"",)] and b"N" in [kind for kind, _ in said]


def test_a_default_role_that_was_given_meanwhile_is_for_new_sessions(shared: Database) -> None:
    with logged_in_as(shared, "boss") as boss, logged_in(shared) as client:
        client.query("select 1")
        boss.query("alter role app set role to other")
        try:
            shared.fall_asleep()
            assert client.query("select current_user") == [(b"app",)]
            with logged_in(shared) as newcomer:
                assert newcomer.query("select current_user") == [(b"other",)]
        finally:
            boss.query("alter role app reset role")


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


def test_the_pins_of_several_sessions_are_all_named(shared: Database) -> None:
    with logged_in(shared) as one, logged_in(shared) as two:
        one.query("select pg_advisory_lock(1)")
        two.query("select pg_advisory_lock(2)")
        shared.refuses_to_sleep("holds advisory lock 1")
        shared.refuses_to_sleep("holds advisory lock 2")
