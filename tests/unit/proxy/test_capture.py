"""The question that finds a session's state, and the meaning of its answer.

That it works on a real server, whatever a client has set there, is checked in
``tests/integration/test_proxy_state.py``.
"""

from __future__ import annotations

import re

import pytest

from support.captures import Message, messages_of, row, session, setting, statement
from torpor_proxy.core import capture, capture_rows, capture_sql, custom_settings, wire
from torpor_proxy.core.broken import MARK
from torpor_proxy.core.capture import UNKNOWN, Captured, Catalog, Pins
from torpor_proxy.core.capture_sql import TEXT_LENGTH_MAX
from torpor_proxy.core.custom_settings import CustomSettings
from torpor_proxy.core.held import Kind
from torpor_proxy.core.wire import Severity

NONE = custom_settings.NONE

DONE = (b"Z", b"I")

NOTHING = (b"C", b"COMMIT\0")
"""The question was carried out, and found nothing."""


def read(*messages: Message, custom: CustomSettings = NONE) -> Captured:
    return capture.read(list(messages), "app", custom, UNKNOWN)


def found_in(*rows: Message) -> list[tuple[Kind, bytes, bytes, bytes]]:
    entries = read(*rows, DONE).held.entries()
    return [(entry.kind, entry.name, entry.value, entry.extra) for entry in entries]


def test_nothing_found_is_nothing_held() -> None:
    found = read((b"1", b""), (b"2", b""), (b"C", b"COMMIT\0"), DONE)
    assert not found.held and not found.pins and found.idle_session_timeout_s == 0


def test_where_the_question_was_passed_over_nothing_is_known_and_that_pins() -> None:
    """As behind an error of the client's, up to the question's Sync."""
    for messages in ([DONE], [(b"N", b"notice"), DONE]):
        assert read(*messages).pins == capture.PASSED_OVER
        assert capture.read_temporary(messages) == capture.PASSED_OVER
        assert capture.read_catalog(messages).pins == capture.PASSED_OVER


def test_each_kind_is_held() -> None:
    name = "é".encode()
    assert found_in(setting(name, b"64")) == [(Kind.SETTING, name, b"64", b"")]
    assert found_in(row(b"c", name, b"7")) == [(Kind.CUSTOM, name, b"7", b"")]
    assert found_in(row(b"l", name)) == [(Kind.CHANNEL, name, b"", b"")]
    assert found_in(session(role=name)) == [(Kind.ROLE, b"", name, b"")]
    assert found_in(session(authorization=name)) == [(Kind.AUTHORIZATION, b"", name, b"")]
    assert found_in(statement(name, b"select 1", parameters=(20,), results=(23, 25))) == [
        (Kind.PROTOCOL_STATEMENT, name, b"select 1", b"{20}|{23,25}")
    ]
    assert found_in(statement(name, b"prepare x as listen x", is_sql=True)) == [
        (Kind.SQL_STATEMENT, name, b"prepare x as listen x", b"{}|{23}")
    ]


def test_what_is_nothing_of_the_session_s_is_not_held() -> None:
    assert not found_in(
        session(),
        setting(b"transaction_isolation", b"serializable"),
        setting(b"tcp_user_timeout", b"7"),
        row(b"c", b"shop.cart", None),
        statement(b"_torpor_c", b"select 1"),
    )


def test_a_setting_of_an_extension_is_the_session_s_only_where_its_source_says_so() -> None:
    name = b"pg_stat_statements.max"
    custom = row(b"c", name, b"200")
    assert not found_in(setting(name, b"200", source=b"configuration file"), custom)
    assert found_in(setting(name, b"200"), custom) == [(Kind.SETTING, name, b"200", b"")]
    assert (
        found_in(setting(b"Some.Max", b"9", source=b"default"), row(b"c", b"some.max", b"9")) == []
    )


def test_equal_states_are_one_object() -> None:
    one, other = (read(setting(b"work_mem", b"64"), DONE).held for _ in range(2))
    assert one is other is not read(setting(b"work_mem", b"65"), DONE).held


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (row(b"k", bytes(4), b"\0\0\0\7", b"\0\1"), "holds advisory lock 7"),
        (row(b"k", b"\xff" * 4, b"\xff" * 4, b"\0\1"), "holds advisory lock -1"),
        (row(b"k", b"\0\0\0\1", b"\xff" * 4, b"\0\2"), "holds advisory lock 1, 4294967295"),
        (row(b"u", "é".encode()), "has cursor é with hold"),
        (row(b"y", "é".encode()), "has temporary replication slot é"),
    ],
)
def test_each_kind_of_pin_in_words(told: Message, words: str) -> None:
    assert read(told, DONE).pins == Pins((words,))


def test_what_is_in_a_temporary_schema_is_another_question() -> None:
    assert not read(session(), DONE).has_temporary_schema
    found = read(session(schema=16384), DONE)
    assert found.has_temporary_schema and not found.pins
    there = capture.read_temporary([row(b"x", b"temporary object", b"table t"), DONE])
    assert found.pinned_by(there).pins == Pins(("has temporary table t",))


def test_what_could_not_be_put_back_pins() -> None:
    found = read(
        setting(b"log_statement", b"all", is_allowed=False),
        statement(b"p", b"prepare p as select 1; delete from t", is_sql=True),
        statement(b"long", b"x" * TEXT_LENGTH_MAX),
        DONE,
    )
    assert found.pins.reasons == (
        "has set log_statement, which its role may not set by itself",
        "has prepared statement p in a text of several statements",
        "has prepared statement long whose text is too long to be kept",
    )


@pytest.mark.parametrize("text", [b"prepare p as select 1;", b"prepare p as select 1 ;\n ; "])
def test_a_semicolon_at_the_end_is_no_second_statement(text: bytes) -> None:
    assert not capture_rows.has_several_statements(text)


def test_a_backslash_pins_where_its_meaning_was_changed() -> None:
    messages = [statement(b"s1", b"select '\\'"), statement(b"s2", b"select 1"), DONE]
    found = capture.read(messages, "app", NONE, UNKNOWN, escapes_are_mixed=True)
    assert len(found.pins.reasons) == 1 and "statement s1 with a backslash" in found.pins.reasons[0]
    assert not capture.read(messages, "app", NONE, UNKNOWN).pins


def test_defaults_timeout_and_snapshot_are_not_held() -> None:
    found = read(
        setting(b"work_mem", b"8", reset=b"64", source=b"database user"),
        setting(b"log_statement", b"all", reset=b"all", source=b"user", context=b"superuser"),
        setting(b"idle_session_timeout", b"1500", reset=b"0", source=b"default"),
        session(),
        DONE,
    )
    assert not found.held and found.defaults == (("work_mem", "64"),)
    assert (found.idle_session_timeout_s, found.snapshot) == (1.5, b"1:1:")


def test_every_kind_of_pin_that_is_asked_for_has_words() -> None:
    asked = set(re.findall(r"SELECT '([a-z]+ [a-z]+)'", capture_sql.CATALOG))
    assert asked == {"login trigger", "computed setting"}
    for kind in asked:
        (reason,) = capture.read_catalog([row(b"x", kind.encode(), b"f", b""), DONE]).pins.reasons
        assert "f" in reason


def test_a_question_that_failed_pins_with_the_server_s_words() -> None:
    error = wire.report(Severity.ERROR, "42501", "permission denied")
    found = read(row(b"l", b"a"), *messages_of(error), (b"Z", b"E"))
    assert found.pins == Pins(("its state could not be read: permission denied",), is_passing=True)


def test_a_computed_name_pins_whatever_the_server_says() -> None:
    found = read(NOTHING, DONE, custom=CustomSettings(is_computed=True))
    assert found.pins == Pins((capture.COMPUTED,))


def test_what_the_catalog_says_pins_every_session() -> None:
    catalog = capture.read_catalog(
        [
            row(b"c", b"shop.cart", b"", b""),
            row(b"n", b"", b"1:2:", b""),
            row(b"x", b"computed setting", b"f", b""),
            DONE,
        ]
    )
    pins = Pins(("may have set a custom setting by f",))
    assert catalog == Catalog(b"1:2:", frozenset({"shop.cart"}), pins)
    assert capture.read([NOTHING, DONE], "app", NONE, catalog).pins == pins
    assert b"shop.cart" in capture.question(NONE, catalog)


@pytest.mark.parametrize(("answer", "exists"), [((b"T", b""), True), ((b"E", b"\0"), False)])
def test_whether_the_unnamed_statement_exists(answer: Message, exists: bool) -> None:
    assert read(NOTHING, DONE).has_unnamed is None
    assert read(NOTHING, DONE, answer, DONE).has_unnamed is exists


def test_what_stands_in_for_a_statement_is_none_of_the_session_s() -> None:
    found = read(
        statement(b"s", MARK.encode() + b" select"),
        statement(b"t", b"select 1", prepared=b"at 8 a.m"),
        DONE,
    )
    assert found.stand_ins == {b"s"}
    assert [entry.name for entry in found.held.entries()] == [b"t"]
    assert found.prepared == b"at 8 a.m"


def test_a_long_setting_pins() -> None:
    long = b"x" * TEXT_LENGTH_MAX
    for told in (setting(b"search_path", long), row(b"c", b"app.x", long)):
        (reason,) = read(told, DONE).pins.reasons
        assert reason.endswith("to a value that is too long to be kept")


def test_a_text_that_was_cut_pins_whatever_counts_as_a_letter() -> None:
    """In a database that knows no encoding each byte is one."""
    assert read(statement(b"s", "é".encode() * (TEXT_LENGTH_MAX // 2)), DONE).pins


def test_a_catalog_that_can_not_be_read_for_now_pins_for_now() -> None:
    error = messages_of(wire.report(Severity.ERROR, "57014", "canceling statement"))
    catalog = capture.read_catalog([*error, (b"Z", b"E")])
    assert capture.read([NOTHING, DONE], "app", NONE, catalog).pins.is_passing


def test_reasons_are_bounded() -> None:
    assert len(read(*[row(b"u", b"a")] * 100, DONE).pins.reasons) == capture.PINS_MAX


def test_the_question_is_one_pipeline_that_spares_the_client_s_unnamed_statement() -> None:
    messages = messages_of(capture.question(NONE, UNKNOWN))
    assert [kind for kind, _ in messages].count(b"S") == 1 and messages[-1][0] == b"S"
    parsed = [body for kind, body in messages if kind == b"P"]
    assert parsed and all(body.startswith(capture.STATEMENT.encode() + b"\0") for body in parsed)
    assert not any(kind == b"Q" for kind, _ in messages)


@pytest.mark.parametrize("question", [capture.question(NONE, UNKNOWN)])
def test_no_text_depends_on_what_a_client_may_have_set(question: bytes) -> None:
    # standard_conforming_strings decides what a backslash in a literal means.
    assert b"\\" not in question and b"\\" not in capture.catalog_question()
