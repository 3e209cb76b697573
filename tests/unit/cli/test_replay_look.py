"""What a statement's words say of it: does it write, does it want what no log has?"""

from __future__ import annotations

import pytest

from torpor_cli.replay import sql_look
from torpor_cli.replay.sql_look import look


@pytest.mark.parametrize(
    ("text", "writes"),
    [
        ("select 1", ()),
        ("SELECT 'insert into t' -- delete\n/* update */ from \"update\"", ()),
        ("select $$drop table t;$$, $a$delete; $$ $a$", ()),
        (r"select E'\'; drop table t; --'", ()),
        ("begin; insert into t values (1); update t set a = 2; commit", ("INSERT", "UPDATE")),
        ("with x as (delete from t returning *) select * from x", ("DELETE",)),
        ("with x as (select 1) select * from x", ()),
        ("create table t (a int)", ("CREATE TABLE",)),
        ("select * into t from s", ("SELECT INTO",)),
        ("explain update t set a = 1", ()),
        ("explain (analyze) update t set a = 1", ("UPDATE",)),
        ("prepare p as insert into t values ($1)", ("INSERT",)),
        ("copy t (a) to stdout", ()),
        ("copy (select * from t) to stdout", ()),
        ("copy t from '/tmp/x'", ("COPY",)),
        ("call p()", ("CALL",)),
        ("frobnicate", ("other commands",)),
        ("", ()),
        (";;", ()),
    ],
)
def test_what_is_written(text: str, writes: tuple[str, ...]) -> None:
    assert look(text).writes == writes


@pytest.mark.parametrize(
    ("text", "has"), [("select $1", True), ("select '$1', \"$2\", $a$$3$a$", False), ("a$1", False)]
)
def test_parameters(text: str, has: bool) -> None:
    assert look(text).has_parameters is has


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        ("COPY t FROM STDIN", True),
        ("copy t (a, b) from stdin with (format csv)", True),
        ("copy t to stdout", False),
        ("select 'copy t from stdin'", False),
    ],
)
def test_rows_of_a_copy(text: str, wants: bool) -> None:
    assert look(text).is_copy_in is wants


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("begin read write", True),
        ("set transaction isolation level serializable, read write", True),
        ("set default_transaction_read_only = off", True),
        ("select set_config('transaction_read_only', 'off', false)", True),
        ("begin read only", False),
        ("select 'read write'", False),
    ],
)
def test_what_may_end_a_read_only_transaction(text: str, may: bool) -> None:
    assert look(text).is_unguarding is may


def test_of_a_long_statement_the_beginning_counts() -> None:
    values = ", ".join(f"({number})" for number in range(100_000))
    assert len(values) > sql_look.LOOKED_AT_CHARACTERS_MAX
    assert look(f"insert into t values {values}").writes == ("INSERT",)
