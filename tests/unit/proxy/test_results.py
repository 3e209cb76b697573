"""What columns a statement returns: what counts, and which statements have to be asked for it."""

from __future__ import annotations

import struct

import pytest

from torpor_proxy.core import results, wire
from torpor_proxy.core.held import UNSEEN, Entry, Held, Kind, held_of

INT4, NUMERIC = 23, 1700
ONE, OTHER, LATER = (bytes([each]) * 8 for each in (1, 2, 3))


def column(
    name: str = "n", table: int = 20001, place: int = 1, kind: int = INT4, modifier: int = -1
) -> bytes:
    return name.encode() + b"\0" + struct.pack(">IHIHiH", table, place, kind, 4, modifier, 0)


def described(*columns: bytes) -> tuple[bytes, bytes]:
    return b"T", len(columns).to_bytes(2, "big") + b"".join(columns)


def result(*columns: bytes) -> bytes:
    (found,) = results.told([(b"t", b"\0\0"), described(*columns), (b"Z", b"I")])
    return found


def row(kind: bytes, name: bytes, text: bytes = b"table t") -> bytes:
    parts = (len(each).to_bytes(4, "big") + each for each in (kind, name, text, b"{}|{23}"))
    return b"\0\4" + b"".join(parts)


def held(*names: bytes) -> Held:
    return held_of([row(b"p", name) for name in names])


@pytest.mark.parametrize("same", [column(table=30005), column(place=7)])
def test_another_table_with_the_same_columns_is_no_change(same: bytes) -> None:
    assert result(column(), same) == result(column(), column())


@pytest.mark.parametrize("other", [column("m"), column(kind=NUMERIC), column(modifier=9)])
def test_another_name_type_or_modifier_is_one(other: bytes) -> None:
    assert result(column(), other) != result(column(), column())


def test_no_columns_are_not_unknown() -> None:
    nothing, one = results.told([(b"t", b"\0\0"), (b"n", b""), (b"t", b"\0\0"), described()])
    assert nothing == one != UNSEEN
    assert len(nothing) == len(UNSEEN)


@pytest.mark.parametrize(
    ("text", "is_described"),
    [
        ("select 1", True),
        ("(SELECT 1)", True),
        (" -- fetch\n /* show * / */ With x as (table t) table x", True),
        ("insert into t values (1) returning *", True),
        ("fetch 1 from c", False),
        ("/* select */ fetch 1 from c", False),
        ("; -- select\nfetch 1 from c", False),
        ("execute p", False),
        ("explain select 1", False),
        ("show work_mem", False),
        ("selected", False),
    ],
)
def test_which_statements_are_described(text: str, is_described: bool) -> None:
    statement = Entry(Kind.PROTOCOL_STATEMENT, b"s", text.encode(), b"")
    assert bool(results.describe(statement)) is is_described
    assert not (is_described and results.fetches(text.encode()))


def test_those_of_sql_always_read_tables() -> None:
    statement = Entry(Kind.SQL_STATEMENT, b"s", b"prepare s as table t", b"")
    assert results.describe(statement) == wire.describe_statement("s")


def test_a_fetch_is_known_behind_comments() -> None:
    assert results.fetches(b"/* */ FETCH 1 from c") and not results.fetches(b"select 'fetch'")


# --- which are the same as before -----------------------------------------------------------


def test_what_was_prepared_at_the_same_time_is_the_same() -> None:
    before = held(b"a", b"b").with_results([ONE, OTHER])
    found = results.carried_over(held(b"b", b"a"), LATER + ONE, before, ONE + LATER)
    assert found == [OTHER, ONE]


def test_what_was_prepared_at_another_time_is_asked_for() -> None:
    before = held(b"a", b"b").with_results([ONE, OTHER])
    found = results.carried_over(held(b"a", b"b", b"c"), ONE + OTHER + LATER, before, ONE + LATER)
    assert found == [ONE, None, None]


def test_where_nothing_was_prepared_nothing_is_asked() -> None:
    before = held(b"a", b"b").with_results([ONE, UNSEEN])
    assert results.carried_over(held(b"a", b"b"), ONE * 2, before, ONE * 2) == [ONE, UNSEEN]


def test_what_is_not_described_is_not_asked_for() -> None:
    found = held_of([row(b"p", b"a", b"fetch 1 from c")])
    assert results.carried_over(found, ONE, Held(), b"") == [UNSEEN]


def test_a_broken_one_keeps_what_it_had() -> None:
    before = held(b"a", b"b").with_results([ONE, OTHER])
    whole = held(b"c").with_results([LATER]).with_those(before, {b"b"})
    assert whole.results_by_name() == {b"c": LATER, b"b": OTHER}


def test_equal_ones_are_one_object_and_others_are_not() -> None:
    one, same, other = (held(b"a").with_results([each]) for each in (ONE, ONE, OTHER))
    assert one is same is not other
