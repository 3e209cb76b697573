"""What a session without a compute answers by itself. That Postgres says the same is checked in
``tests/integration/test_proxy_real_postgres.py``."""

from __future__ import annotations

import pytest

from torpor_proxy.core import keepalive, wire

ONE = [b"T", b"D", b"C", b"Z"]

EMPTY = [b"I", b"Z"]


def query(sql: bytes) -> bytes:
    return wire.message(b"Q", sql + b"\0")


def kinds(answer: bytes | None) -> list[bytes] | None:
    return None if answer is None else [kind for kind, _ in wire.split(answer)[0]]


@pytest.mark.parametrize(
    "sql", [b"SELECT 1", b"select 1", b"Select 1;", b" select 1 ; ", b"select 1\n"]
)
def test_select_1_as_pools_write_it(sql: bytes) -> None:
    assert kinds(keepalive.answer(query(sql))) == ONE


@pytest.mark.parametrize("sql", [b"", b" ", b";", b" ; \n"])
def test_the_empty_query(sql: bytes) -> None:
    assert kinds(keepalive.answer(query(sql))) == EMPTY


def test_sync() -> None:
    assert kinds(keepalive.answer(wire.SYNC)) == [b"Z"]


@pytest.mark.parametrize(
    "data",
    [
        query(b"select 2"),
        query(b"select 1 " + b"x"),
        query(b"select 1, 2"),
        query(b"select 1;;"),
        query(b"-- ping"),
        query(b"select 1" + b" " * 100),
        query(b"select 1") + query(b"select 1"),
        query(b"select 1") + b"Q",
        query(b"select 1")[:-1],
        query(b"select 1")[:5],
        wire.message(b"Q", b"select 1"),
        wire.message(b"S", b"x"),
        wire.message(b"X"),
        wire.message(b"H"),
        wire.parse("", "select 1"),
        b"Q\0\0\0\0",
        b"",
    ],
)
def test_everything_else_is_for_the_database(data: bytes) -> None:
    assert keepalive.answer(data) is None
