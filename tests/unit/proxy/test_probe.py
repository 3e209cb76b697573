"""The question that finds a session's state, and the meaning of its answer.

That it works on a real server, whatever a client has set there, is checked in
``tests/integration/test_proxy_state.py``.
"""

from __future__ import annotations

import pytest

from torpor_proxy.core import custom_settings, probe, wire
from torpor_proxy.core.custom_settings import CustomSettings
from torpor_proxy.core.probe import Pins
from torpor_proxy.core.wire import Severity

NONE = custom_settings.NONE

DONE = (b"Z", b"I")


def row(*columns: bytes) -> tuple[bytes, bytes]:
    parts = (len(column).to_bytes(4, "big") + column for column in columns)
    return b"D", len(columns).to_bytes(2, "big") + b"".join(parts)


def messages_of(data: bytes) -> list[tuple[bytes, bytes]]:
    found, rest = wire.split(data)
    assert rest == b""
    return found


def test_nothing_found_is_nothing_that_pins() -> None:
    assert not probe.pins_of([(b"1", b""), (b"2", b""), (b"C", b"COMMIT\0"), DONE], NONE)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("setting", "has set é"),
        ("idle_session_timeout", "has an idle_session_timeout"),
        ("prepared statement", "has prepared statement é"),
        ("channel", "listens on é"),
        ("role", "has set its role to é"),
        ("session authorization", "has set its session authorization to é"),
        ("advisory lock", "holds advisory lock é"),
        ("cursor", "has cursor é with hold"),
        ("temporary object", "has temporary é"),
        ("login trigger", "would run login event trigger é again"),
        ("custom setting", "has set é"),
        ("computed setting", "may have set a custom setting by é"),
    ],
)
def test_each_kind_of_state_in_words(kind: str, words: str) -> None:
    found = row(kind.encode(), "é".encode().hex().encode())
    assert probe.pins_of([found, DONE], NONE) == Pins((words,))


def test_the_question_asks_for_every_kind_that_there_are_words_for() -> None:
    text = probe.question("app", NONE).decode("latin-1")
    for kind in probe._WORDS:
        assert f"'{kind}'" in text


def test_a_question_that_failed_pins_with_the_server_s_words() -> None:
    error = wire.report(Severity.ERROR, "42501", "permission denied")
    ((kind, body),) = messages_of(error)
    found = probe.pins_of([row(b"role", b"61"), (kind, body), (b"Z", b"E")], NONE)
    assert found == Pins(("its state could not be read: permission denied",), is_passing=True)


def test_a_computed_name_pins_whatever_the_server_says() -> None:
    assert probe.pins_of([DONE], CustomSettings(is_computed=True)) == Pins((probe.COMPUTED,))


def test_reasons_are_bounded() -> None:
    rows = [row(b"setting", b"61")] * 100
    assert len(probe.pins_of([*rows, DONE], NONE).reasons) == probe.PINS_MAX


def test_the_question_is_one_pipeline_that_spares_the_client_s_unnamed_statement() -> None:
    messages = messages_of(probe.question("app", NONE))
    assert [kind for kind, _ in messages].count(b"S") == 1 and messages[-1][0] == b"S"
    parsed = [body for kind, body in messages if kind == b"P"]
    assert parsed and all(body.startswith(probe.STATEMENT.encode() + b"\0") for body in parsed)
    assert not any(kind == b"Q" for kind, _ in messages)


def test_names_travel_as_hexadecimal_whatever_is_in_them() -> None:
    custom = CustomSettings(frozenset({"app.é", "a.'b"}))
    text = probe.question('a"p\\p', custom)
    for name in ("app.é", "a.'b", 'a"p\\p'):
        assert name.encode().hex().encode() in text and name.encode() not in text


def test_no_text_depends_on_what_a_client_may_have_set() -> None:
    # standard_conforming_strings decides what a backslash in a literal means.
    assert b"\\" not in probe.question("app", NONE)
