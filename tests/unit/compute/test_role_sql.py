"""The statements that make roles and databases match a spec."""

from __future__ import annotations

from torpor_api.resource import Database, Role
from torpor_compute.core.role_sql import database_statements, role_statements

GROUP = "ALTER ROLE torpor_login NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE"
GRANT = 'GRANT torpor_login TO "app" WITH INHERIT FALSE, SET FALSE'


def test_a_new_role() -> None:
    assert role_statements([Role(name="app")], {"app": "SCRAM-SHA-256$v"}, (), ()) == [
        "CREATE ROLE torpor_login",
        GROUP,
        'CREATE ROLE "app"',
        'ALTER ROLE "app" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE CONNECTION LIMIT -1'
        " VALID UNTIL 'infinity' PASSWORD 'SCRAM-SHA-256$v'",
        GRANT,
    ]


def test_a_role_that_exists_is_changed_and_keeps_a_password_that_nobody_gave() -> None:
    role = Role(
        name="app",
        superuser=True,
        createdb=True,
        createrole=True,
        connection_limit=7,
        valid_until="2030-01-01T00:00:00Z",
    )
    assert role_statements([role], {}, ("torpor_login", "app"), ("app",)) == [
        GROUP,
        'ALTER ROLE "app" LOGIN SUPERUSER CREATEDB CREATEROLE CONNECTION LIMIT 7'
        " VALID UNTIL '2030-01-01T00:00:00Z'",
        GRANT,
    ]


def test_a_superuser_that_is_declared_no_more_may_not_come_in() -> None:
    found = role_statements([Role(name="app")], {}, ("torpor_login", "app", "old"), ("old", "app"))
    assert found[-1] == 'REVOKE torpor_login FROM "old"'
    assert not any('FROM "app"' in statement for statement in found)


def test_nothing_is_dropped() -> None:
    found = role_statements([Role(name="app")], {}, ("torpor_login", "app", "other"), ())
    assert not any("DROP" in statement or "other" in statement for statement in found)
    assert database_statements([], {"kept": "app"}) == []


def test_databases() -> None:
    wanted = [Database(name=name, owner="app") for name in ("new", "ours", "others")]
    owners = {"ours": "app", "others": "somebody", "postgres": "torpor_admin"}
    assert database_statements(wanted, owners) == [
        'CREATE DATABASE "new" OWNER "app"',
        'ALTER DATABASE "others" OWNER TO "app"',
    ]


def test_names_and_verifiers_that_would_break_out() -> None:
    evil = 'x" SUPERUSER; --'
    found = role_statements([Role(name=evil)], {evil: "a'; DROP ROLE y; --\\"}, (), ())
    assert found[2] == 'CREATE ROLE "x"" SUPERUSER; --"'
    assert found[3].endswith("PASSWORD  E'a''; DROP ROLE y; --\\\\'")
    assert database_statements([Database(name=evil, owner=evil)], {}) == [
        'CREATE DATABASE "x"" SUPERUSER; --" OWNER "x"" SUPERUSER; --"'
    ]
