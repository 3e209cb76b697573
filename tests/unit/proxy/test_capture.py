"""The question that finds a session's state, and the meaning of its answer.

That it works on a real server, whatever a client has set there, is checked in
``tests/integration/test_proxy_state.py``.
"""

from __future__ import annotations

import pytest

from torpor_proxy.core import capture, capture_sql, custom_settings, wire
from torpor_proxy.core.capture import UNKNOWN, Captured, Catalog, Pins
from torpor_proxy.core.custom_settings import CustomSettings
from torpor_proxy.core.held import Kind
from torpor_proxy.core.wire import Severity

NONE = custom_settings.NONE

DONE = (b"Z", b"I")


def row(*columns: bytes) -> tuple[bytes, bytes]:
    columns += (b"",) * (4 - len(columns))
    parts = (len(column).to_bytes(4, "big") + column for column in columns)
    return b"D", len(columns).to_bytes(2, "big") + b"".join(parts)


def messages_of(data: bytes) -> list[tuple[bytes, bytes]]:
    found, rest = wire.split(data)
    assert rest == b""
    return found


def read(*messages: tuple[bytes, bytes], custom: CustomSettings = NONE) -> Captured:
    return capture.read(list(messages), custom, UNKNOWN)


def test_nothing_found_is_nothing_held() -> None:
    found = read((b"1", b""), (b"2", b""), (b"C", b"COMMIT\0"), DONE)
    assert not found.held and not found.pins and found.idle_session_timeout_s == 0


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_is_held(kind: Kind) -> None:
    found = read(row(kind.value, "é".encode(), b"value"), DONE)
    (entry,) = found.held.entries()
    assert (entry.kind, entry.name, entry.value) == (kind, "é".encode(), b"value")
    assert not found.pins


def test_equal_states_are_one_object() -> None:
    one, other = (read(row(b"s", b"work_mem", b"64"), DONE).held for _ in range(2))
    assert one is other is not read(row(b"s", b"work_mem", b"65"), DONE).held


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("advisory lock", "holds advisory lock é"),
        ("cursor", "has cursor é with hold"),
        ("temporary object", "has temporary é"),
        ("login trigger", "would run login event trigger é again"),
        ("computed setting", "may have set a custom setting by é"),
        ("replication slot", "has temporary replication slot é"),
    ],
)
def test_each_kind_of_pin_in_words(kind: str, words: str) -> None:
    assert read(row(b"x", kind.encode(), "é".encode()), DONE).pins == Pins((words,))


def test_what_could_not_be_put_back_pins() -> None:
    found = read(
        row(b"s", b"log_statement", b"all", b"forbidden"),
        row(b"q", b"p", b"prepare p as select 1; delete from t", b"{}|{23}"),
        DONE,
    )
    assert found.pins.reasons == (
        "has set log_statement, which its role may not set by itself",
        "has prepared statement p in a text of several statements",
    )


@pytest.mark.parametrize("text", [b"prepare p as select 1;", b"prepare p as select 1 ;\n ; "])
def test_a_semicolon_at_the_end_is_no_second_statement(text: bytes) -> None:
    assert not capture.has_several_statements(text)


def test_a_backslash_pins_where_its_meaning_was_changed() -> None:
    messages = [row(b"p", b"s1", b"select '\\'", b"{}|{25}"), row(b"p", b"s2", b"select 1"), DONE]
    found = capture.read(messages, NONE, UNKNOWN, escapes_are_mixed=True)
    assert len(found.pins.reasons) == 1 and "statement s1 with a backslash" in found.pins.reasons[0]
    assert not capture.read(messages, NONE, UNKNOWN).pins


def test_defaults_timeout_and_snapshot_are_not_held() -> None:
    found = read(
        row(b"d", b"work_mem", b"64"), row(b"i", b"", b"1.5"), row(b"n", b"", b"1:2:"), DONE
    )
    assert not found.held and found.defaults == (("work_mem", "64"),)
    assert (found.idle_session_timeout_s, found.snapshot) == (1.5, b"1:2:")


def test_the_question_asks_for_every_kind_that_there_are_words_for() -> None:
    text = capture_sql.STATE + capture_sql.CATALOG
    of_python = {"forbidden setting", "several statements", "escapes"}
    for kind in capture._WORDS.keys() - of_python:
        assert f"'{kind}'" in text


def test_a_question_that_failed_pins_with_the_server_s_words() -> None:
    error = wire.report(Severity.ERROR, "42501", "permission denied")
    found = read(row(b"r", b"", b"a"), *messages_of(error), (b"Z", b"E"))
    assert found.pins == Pins(("its state could not be read: permission denied",), is_passing=True)


def test_a_computed_name_pins_whatever_the_server_says() -> None:
    found = read(DONE, custom=CustomSettings(is_computed=True))
    assert found.pins == Pins((capture.COMPUTED,))


def test_what_the_catalog_says_pins_every_session() -> None:
    catalog = capture.read_catalog(
        [
            row(b"c", b"shop.cart"),
            row(b"n", b"", b"1:2:"),
            row(b"x", b"computed setting", b"f"),
            DONE,
        ]
    )
    pins = Pins(("may have set a custom setting by f",))
    assert catalog == Catalog(b"1:2:", frozenset({"shop.cart"}), pins)
    assert capture.read([DONE], NONE, catalog).pins == pins
    assert b"shop.cart" in capture.question("app", NONE, catalog)


@pytest.mark.parametrize(("answer", "exists"), [((b"T", b""), True), ((b"E", b"\0"), False)])
def test_whether_the_unnamed_statement_exists(answer: tuple[bytes, bytes], exists: bool) -> None:
    assert read(DONE).has_unnamed is None
    assert read(DONE, answer, DONE).has_unnamed is exists


def test_what_stands_in_for_a_statement_is_none_of_the_session_s() -> None:
    found = read(row(b"b", b"s"), row(b"p", b"t", b"select 1"), DONE)
    assert found.stand_ins == {b"s"}
    assert [entry.name for entry in found.held.entries()] == [b"t"]


def test_reasons_are_bounded() -> None:
    rows = [row(b"x", b"cursor", b"a")] * 100
    assert len(read(*rows, DONE).pins.reasons) == capture.PINS_MAX


def test_the_question_is_one_pipeline_that_spares_the_client_s_unnamed_statement() -> None:
    messages = messages_of(capture.question("app", NONE, UNKNOWN))
    assert [kind for kind, _ in messages].count(b"S") == 1 and messages[-1][0] == b"S"
    parsed = [body for kind, body in messages if kind == b"P"]
    assert parsed and all(body.startswith(capture.STATEMENT.encode() + b"\0") for body in parsed)
    assert not any(kind == b"Q" for kind, _ in messages)


@pytest.mark.parametrize("question", [capture.question("app", NONE, UNKNOWN)])
def test_no_text_depends_on_what_a_client_may_have_set(question: bytes) -> None:
    # standard_conforming_strings decides what a backslash in a literal means.
    assert b"\\" not in question and b"\\" not in capture.catalog_question()
