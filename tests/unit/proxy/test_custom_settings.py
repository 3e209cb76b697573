"""Names of custom settings in SQL: a missed one is a tenant's context lost in a sleep."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from torpor_proxy.core import custom_settings
from torpor_proxy.core.custom_settings import NAMES_MAX, CustomSettings


def seen(*texts: str) -> CustomSettings:
    found = custom_settings.NONE
    for text in texts:
        if custom_settings.may_set(text.encode()):
            found = found.with_those_of(text.encode())
    return found


@pytest.mark.parametrize(
    "sql",
    [
        "SET app.user_id = 7",
        "set app.user_id to '7'",
        "SET SESSION app.user_id = 7",
        "SET LOCAL app.user_id = 7",
        "set\n\tapp . user_id = 7",
        "RESET app.user_id",
        'SET "app"."user_id" = 7',
        'SET app."user_id" = 7',
        'SET "app.user_id" = 7',
        'SET SESSION "App.User_Id" TO DEFAULT',
        "select 1; set app.user_id = 7",
        "set/**/app.user_id = 7",
        "set /* why */ session /* /* nested */ */ app.user_id = 7",
        "set -- why\n app.user_id = 7",
        "select '--'; set app.user_id = 7",
        "select '/*'; set app.user_id = 7",
        "SELECT set_config('app.user_id', '7', false)",
        "select pg_catalog.set_config ( 'app.user_id' , $1, true)",
        "select \"set_config\"('app.user_id', '7', false)",
        "create function f() returns void language sql as $$ set app.user_id = 7 $$",
        "do 'begin set app.user_id = 7; end'",
    ],
)
def test_a_literal_name_is_found(sql: str) -> None:
    assert seen(sql) == CustomSettings(frozenset({"app.user_id"}))


@pytest.mark.parametrize(
    "sql",
    [
        "select set_config($1, $2, false)",
        "select set_config('app.' || $1, '7', false)",
        "select set_config(E'app.user_id', '7', false)",
        "select set_config(setting_name => 'app.user_id', new_value => '7', is_local => false)",
        "select set_config(/* name */ 'app.user_id', '7', false)",
        "select set_config(/* ' */ name, '7', false) from t",
        "select \"set_config\"(name, '7', false) from t",
        "do $$ begin execute 'set ' || n || ' = 7'; end $$",
        "do $$ begin execute format('set app.%s = 7', n); end $$",
        "do $x$ begin execute $y$set $y$ || n; end $x$",
        'set U&"app\\002Euser_id" = 7',
        "select set_config('app\\056user_id', '7', false)",
        "set app.größe = 7",
        "set " + "/*" * 20 + "*/" * 20 + " app.user_id = 7",
    ],
)
def test_a_computed_name_is_noticed(sql: str) -> None:
    assert seen(sql).is_computed


@pytest.mark.parametrize(
    "sql",
    [
        "select 1",
        "set search_path to a, b",
        "set time zone 'UTC'",
        "update t set a = 1 where t.b = 2",
        "update t set a = U&'\\0061'",
        "insert into t values (1) on conflict do update set a = excluded.a",
        "select offset_1 from t offset 3",
        "select set_configuration(name) from t",
        "select * from reset_config",
        "select set_config('work_mem', '1MB', false)",
    ],
)
def test_what_sets_none(sql: str) -> None:
    assert seen(sql) == custom_settings.NONE


@pytest.mark.parametrize(
    "sql",
    [
        'set"app"."user_id" = 1',
        'set session"app"."user_id" = 1',
        "select '--'; set /* c */ app.user_id = 1",
        "select '/*'; set -- c\n app.user_id = 1 -- */",
    ],
)
def test_it_is_found_however_it_is_spelled(sql: str) -> None:
    assert "app.user_id" in seen(sql).names


def test_names_add_up() -> None:
    assert seen("set a.b = 1", "select 1", "set c.d = 1").names == {"a.b", "c.d"}


def test_nothing_new_is_the_same_object() -> None:
    found = seen("set a.b = 1")
    assert found.with_those_of(b"set a.b = 2") is found


def test_more_names_than_can_be_asked_for_count_as_computed() -> None:
    texts = [f"set a.b{n} = 1" for n in range(NAMES_MAX + 1)]
    assert not seen(*texts[:-1]).is_computed
    assert seen(*texts).is_computed


@given(st.binary(max_size=200), st.binary(max_size=200))
@example(b"-- the next one is set", b"")
def test_whatever_stands_around_it_it_is_found(before: bytes, after: bytes) -> None:
    sql = before + b"\nset app.user_id = 7;\n" + after
    found = custom_settings.NONE.with_those_of(sql)
    assert "app.user_id" in found.names or found.is_computed


def test_a_long_text_takes_time_in_proportion_to_its_length() -> None:
    """Quadratic, each of these would take minutes, in which no other session is served."""
    for words in (
        b"set ",
        b"set x",
        b"set_config(",
        b"-- ",
        b"/* ",
        b"execute 'set ",
        b'"',
        b"$ ",
        b"a.",
    ):
        custom_settings.NONE.with_those_of(b"u&x set u&'" + words * 50_000)
