"""What the console reads out of a text: its commands, what drivers send, what is refused how."""

from __future__ import annotations

import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.failures import Failure
from torpor_proxy.console import extended, verbs
from torpor_proxy.console.extended import Bind
from torpor_proxy.console.faults import AnswerFailed, Fault
from torpor_proxy.console.lexer import PARTS_MAX
from torpor_proxy.console.parsing import parse, parse_simple
from torpor_proxy.console.statements import (
    Command,
    Constant,
    Forget,
    Ignored,
    Parameter,
    Setting,
    Statement,
    Transaction,
    columns_of,
    parameters_of,
    tag_of,
)
from torpor_proxy.console.values import Type
from torpor_proxy.core.refusals import Refusal, Refused


def refusal_of(sql: str) -> Refusal:
    with pytest.raises(Refused) as raised:
        parse(sql.encode())
    return raised.value.refusal


def one(sql: str) -> Statement:
    (statement,) = parse(sql.encode())
    return statement


@pytest.mark.parametrize(
    ("sql", "command"),
    [
        ("SHOW DATABASES", Command(verbs.SHOW_DATABASES)),
        ("  show\n databases -- all\n;", Command(verbs.SHOW_DATABASES)),
        ("SHOW /* of /* all */ */ SESSIONS", Command(verbs.SHOW_SESSIONS)),
        ("SHOW SESSIONS shop", Command(verbs.SHOW_SESSIONS, "shop")),
        ("show wakes Shop", Command(verbs.SHOW_WAKES, "shop")),
        ("SHOW CHAIN my-shop-2", Command(verbs.SHOW_CHAIN, "my-shop-2")),
        ('SHOW WHY "shop"', Command(verbs.SHOW_WHY, "shop")),
        ("SHOW WHY 'shop.prod'", Command(verbs.SHOW_WHY, "shop.prod")),
        ('SHOW DECISIONS "shop"."prod"', Command(verbs.SHOW_DECISIONS, "shop.prod")),
        ("SUSPEND shop.prod", Command(verbs.SUSPEND, "shop.prod")),
        ("RESUME shop.default", Command(verbs.RESUME, "shop")),
        ("SWITCHOVER 7up", Command(verbs.SWITCHOVER, "7up")),
        ("RESIZE shop TO 2", Command(verbs.RESIZE, "shop", Decimal(2))),
        ("resize shop.prod to 0.25;", Command(verbs.RESIZE, "shop.prod", Decimal("0.25"))),
        ("RESIZE to TO .5", Command(verbs.RESIZE, "to", Decimal("0.5"))),
        ("RESIZE $2 TO $1", Command(verbs.RESIZE, Parameter(2), Parameter(1))),
        ("SHOW SESSIONS $1", Command(verbs.SHOW_SESSIONS, Parameter(1))),
    ],
)
def test_commands(sql: str, command: Command) -> None:
    assert one(sql) == command


def test_every_verb_is_read_as_it_is_spelled_in_the_help() -> None:
    for verb in verbs.VERBS:
        spelled = verb.spelling.replace("[NAME]", "shop").replace("NAME", "shop")
        statement = one(spelled.replace(" CU", " 2"))
        assert isinstance(statement, Command) and statement.verb is verb
        assert columns_of(statement) == verb.columns and tag_of(statement) == verb.tag


@pytest.mark.parametrize(
    ("sql", "statement"),
    [
        ("BEGIN", Transaction.BEGIN),
        ("begin isolation level serializable", Transaction.BEGIN),
        ("START TRANSACTION READ ONLY", Transaction.BEGIN),
        ("END", Transaction.COMMIT),
        ("ABORT", Transaction.ROLLBACK),
        ("SET extra_float_digits = 3", Ignored("SET")),
        ("SET client_encoding TO 'utf-8'", Ignored("SET")),
        ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Ignored("SET")),
        ("RESET ALL", Ignored("RESET")),
        ("DISCARD ALL", Forget("DISCARD ALL")),
        ("DISCARD PLANS", Ignored("DISCARD PLANS")),
        ("DEALLOCATE ALL", Forget("DEALLOCATE ALL")),
        ("DEALLOCATE _pg3_1", Forget("DEALLOCATE", "_pg3_1")),
        ("SHOW server_version", Setting("server_version")),
        ("SHOW TRANSACTION ISOLATION LEVEL", Setting("transaction_isolation")),
    ],
)
def test_what_drivers_send_of_themselves(sql: str, statement: Statement) -> None:
    assert one(sql) == statement


def test_what_a_pool_of_asyncpg_sends_when_it_takes_a_connection_back() -> None:
    sent = b"SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"
    assert [tag_of(each) for each in parse(sent)] == [
        "SELECT 1",
        "CLOSE CURSOR",
        "UNLISTEN",
        "RESET",
    ]
    assert isinstance(one("select 1"), Constant)


def test_several_are_read_before_any_is_carried_out() -> None:
    assert parse(b"SUSPEND a; SUSPEND b;; ") == (
        Command(verbs.SUSPEND, "a"),
        Command(verbs.SUSPEND, "b"),
    )
    assert parse(b" ; -- nothing\n;") == ()
    assert refusal_of("SUSPEND a; SUSPEND").sqlstate == "42601"


@pytest.mark.parametrize(
    ("sql", "sqlstate", "message", "hint"),
    [
        ("SELECT * FROM pg_class", "42601", 'near "SELECT"', "no tables and runs no SQL"),
        ("SHOW NONSENSE", "42601", 'near "NONSENSE"', "SHOW HELP"),
        ("SHOW", "42601", 'near "SHOW"', "SHOW HELP"),
        ("SHOW CLIENTS", "42601", "SHOW CLIENTS is no command", "SHOW SESSIONS [NAME]"),
        ("PAUSE shop", "42601", "PAUSE is no command", "SUSPEND NAME"),
        ("SUSPEND", "42601", "not named", "Write SUSPEND NAME"),
        ("SUSPEND a b", "42601", 'near "b"', "Write SUSPEND NAME"),
        ("SHOW POOLS x", "42601", 'near "x"', "Write SHOW POOLS"),
        ("RESIZE shop 2", "42601", "TO is missing", "RESIZE NAME TO CU"),
        ("RESIZE shop TO", "42601", "no number", "like 2 or 0.25"),
        ("RESIZE shop TO -1", "42601", "no number", "like 2 or 0.25"),
        ("RESIZE shop TO 1e9", "42601", "no number", "like 2 or 0.25"),
        ("RESIZE shop TO 1 0", "42601", 'near "0"', "like 2 or 0.25"),
        ("RESIZE shop TO 1 '0'", "42601", 'near "0"', "like 2 or 0.25"),
        ('SUSPEND "My Shop"', "42602", '"My Shop" is no name', "NAME.NAMESPACE"),
        ('SUSPEND ""', "42602", '"" is no name', "NAME.NAMESPACE"),
        ('SUSPEND "shop', "42601", "unterminated quoted identifier", "SHOW HELP"),
        ("SHOW WHY 'shop", "42601", "unterminated string", "SHOW HELP"),
        ("/* SHOW", "42601", "unterminated comment", "SHOW HELP"),
        ("SHOW WHY $9", "42P02", "there is no parameter $9", "prepared statement"),
        ("ROLLBACK TO SAVEPOINT a", "42601", 'near "ROLLBACK"', "SHOW HELP"),
        ("COMMIT PREPARED 'a'", "42601", 'near "COMMIT"', "SHOW HELP"),
        ("DISCARD everything", "42601", 'near "DISCARD"', "SHOW HELP"),
        ("SET client_encoding TO latin1", "22023", "client_encoding", "UTF8 only"),
    ],
)
def test_refused(sql: str, sqlstate: str, message: str, hint: str) -> None:
    refusal = refusal_of(sql)
    assert refusal.sqlstate == sqlstate
    assert message in refusal.message and hint in refusal.hint
    assert refusal.severity == "ERROR"


@pytest.mark.parametrize("piece", ["SUSPEND a;", "(", "a ", "/**/", "--\n", "'a' "])
def test_no_more_of_a_query_is_read_than_a_person_writes(piece: str) -> None:
    """However many pieces its 64 KiB have: whoever reads them keeps everybody waiting."""
    refusal = refusal_of(piece * (PARTS_MAX + 1))
    assert refusal.sqlstate == "54000" and "more than 1000 words" in refusal.message


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(Refused) as raised:
        parse(b"SHOW WHY \xff")
    assert raised.value.refusal.sqlstate == "22021"


@given(st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    try:
        statements = parse(text.encode(errors="replace"))
    except Refused as refused:
        assert refused.refusal.severity == "ERROR"
    else:
        assert len(statements) <= text.count(";") + 1


# --- parameters ---------------------------------------------------------------------------


def bound(sql: str, *values: bytes | None, oids: tuple[int, ...] = (), formats: Any = ()) -> Any:
    statement = one(sql)
    types = extended.oids_of(statement, oids)
    return extended.bound(statement, types, Bind("", "", formats, values, ()))


def test_parameters_stand_for_names_and_sizes() -> None:
    assert parameters_of(one("RESIZE $1 TO $2")) == (Type.TEXT, Type.FLOAT8)
    assert bound("SUSPEND $1", b"shop") == Command(verbs.SUSPEND, "shop")
    whole = Command(verbs.RESIZE, "shop", Decimal("0.5"))
    assert bound("RESIZE $1 TO $2", b"shop", b"0.5") == whole
    half = struct.pack(">d", 0.5)
    assert bound("RESIZE $1 TO $2", b"shop", half, formats=(0, 1)) == whole
    two = struct.pack(">h", 2)
    sized = bound("RESIZE $1 TO $2", b"shop", two, oids=(25, 21), formats=(1, 1))
    assert sized.size == 2


@pytest.mark.parametrize("sql", ["SUSPEND $1", "RESIZE a TO $1", "SHOW VERSION; SHOW WHY $1"])
def test_a_query_that_comes_alone_has_no_parameters(sql: str) -> None:
    with pytest.raises(Refused) as raised:
        parse_simple(sql.encode())
    assert raised.value.refusal.sqlstate == "42P02"


@pytest.mark.parametrize(
    ("layout", "oid", "value", "size"),
    [
        (">d", 701, 0.3, "0.3"),
        (">d", 701, 0.55, "0.55"),
        (">f", 700, 0.3, "0.3"),
        (">f", 700, 1000.25, "1000.25"),
        (">q", 20, 3, "3"),
    ],
)
def test_a_size_in_binary_is_what_was_meant(layout: str, oid: int, value: float, size: str) -> None:
    given = struct.pack(layout, value)
    sized = bound("RESIZE $1 TO $2", b"shop", given, oids=(25, oid), formats=(0, 1))
    assert sized.size == Decimal(size)


@pytest.mark.parametrize("value", [1e300, -0.5, float("nan"), float("inf"), 1e-9])
def test_a_size_in_binary_that_is_none_is_told_as_it_was_written(value: float) -> None:
    with pytest.raises(Refused) as raised:
        bound("RESIZE a TO $1", struct.pack(">d", value), oids=(701,), formats=(1,))
    refusal = raised.value.refusal
    assert refusal.message == f'"{value!r}" is no number of compute units'


@pytest.mark.parametrize(
    ("values", "oids", "formats", "sqlstate"),
    [
        ((b"No Name",), (), (), "42602"),
        ((None,), (), (), "22023"),
        ((b"\xff",), (), (), "22021"),
        ((b"\0\0\0\1",), (23,), (1,), "0A000"),
        ((), (), (), "08P01"),
        ((b"a", b"b"), (), (), "08P01"),
        ((b"a",), (25, 25), (), "0A000"),
        ((b"a",), (), (0, 0), "08P01"),
    ],
)
def test_parameters_that_are_refused(
    values: tuple[bytes | None, ...], oids: tuple[int, ...], formats: Any, sqlstate: str
) -> None:
    with pytest.raises(Refused) as raised:
        bound("SHOW WHY $1", *values, oids=oids, formats=formats)
    assert raised.value.refusal.sqlstate == sqlstate


@given(st.binary(max_size=60))
def test_no_body_breaks_the_readers(body: bytes) -> None:
    readers = (
        extended.read_query,
        extended.read_parse,
        extended.read_bind,
        extended.read_target,
        extended.read_execute,
    )
    for read in readers:
        try:
            read(body)
        except Refused as refused:
            assert refused.refusal.sqlstate in ("08P01", "22021")


def test_the_document_has_every_command() -> None:
    document = (Path(__file__).parents[3] / "docs" / "console.md").read_text()
    for verb in verbs.VERBS:
        assert f"| `{verb.spelling}` | `{verb.right}` | {verb.what} |" in document


def test_the_document_has_every_sqlstate() -> None:
    document = (Path(__file__).parents[3] / "docs" / "console.md").read_text()
    kinds = [kind for kind in Fault.__subclasses__() if kind is not AnswerFailed]
    told = {kind.sqlstate for kind in kinds} | {kind.sqlstate for kind in Failure.by_kind.values()}
    rare = {"40001", "58030", "53100"}
    assert sorted(state for state in told - rare if state not in document) == []
