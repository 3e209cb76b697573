"""The log's form: one line an event, for programs and for people, and what it leaves out."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from typing import Any

import pytest

from torpor_api.failures import InvalidRequest
from torpor_api.logs import (
    COMPONENTS,
    FORM_VARIABLE,
    LEVEL_VARIABLE,
    VALUE_CHARACTERS_MAX,
    Level,
    Lines,
    LogSettings,
    as_text,
    from_environment,
    readable,
)


def record(event: str, name: str = "torpor_proxy.main", **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.INFO, "", 0, event, (), None)
    vars(made).update(fields)
    return made


def line_of(made: logging.LogRecord, **identity: object) -> dict[str, Any]:
    text = Lines("proxy", identity, is_for_people=False).format(made)
    assert "\n" not in text
    fields: dict[str, Any] = json.loads(text)
    return fields


def test_a_line_has_its_event_its_fields_and_whose_they_are() -> None:
    line = line_of(record("idle", database="shop", reasons=("a", "b")), proxy="p-1")
    assert list(line)[:4] == ["at", "level", "component", "event"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("at"))
    assert line == {
        "level": "info",
        "component": "proxy",
        "event": "idle",
        "proxy": "p-1",
        "database": "shop",
        "reasons": ["a", "b"],
    }


def test_who_a_process_is_may_become_known_while_it_runs() -> None:
    identity: dict[str, object] = {"compute": "c1"}
    form = Lines("agent", identity, is_for_people=False)
    assert "database" not in json.loads(form.format(record("warm")))
    identity |= {"database": "shop", "epoch": 3}
    line = json.loads(form.format(record("claimed")))
    assert (line["compute"], line["database"], line["epoch"]) == ("c1", "shop", 3)


def test_the_words_of_other_libraries_are_no_event() -> None:
    line = line_of(record("Task exception was never retrieved", "asyncio", settings="secret"))
    assert (line["event"], line["logger"]) == ("foreign", "asyncio")
    assert line["message"] == "Task exception was never retrieved" and "settings" not in line


def test_a_field_has_an_end_and_of_a_traceback_that_end() -> None:
    assert len(line_of(record("long", reason="x" * 10**5))["reason"]) == VALUE_CHARACTERS_MAX + 1
    made = record("defect")
    try:
        raise ValueError("x" * 10**5 + "the end")
    except ValueError:
        made.exc_info = sys.exc_info()
    traceback = line_of(made)["traceback"]
    assert len(traceback) == VALUE_CHARACTERS_MAX and traceback.endswith("the end")


# --- for people ---------------------------------------------------------------------------------


def test_for_people_a_line_is_short() -> None:
    text = as_text(
        {
            "at": "2026-11-30T16:20:07.123Z",
            "level": "info",
            "component": "proxy",
            "event": "session_refused",
            "database": "shop",
            "session": 17,
            "reason": "it sleeps",
            "reasons": ["a"],
            "nothing": "",
            "none": None,
        }
    )
    assert text == (
        "16:20:07.123 INFO    proxy      session_refused "
        'database=shop session=17 reason="it sleeps" reasons=["a"] nothing=""'
    )


def test_a_file_is_read_line_by_line_whoever_has_written_it() -> None:
    line = Lines("proxy", is_for_people=False).format(record("it_is", database="shop"))
    assert readable(line).endswith(" INFO    proxy      it_is database=shop")
    for other in ("LOG:  a word of Postgres's own", '{"a": 1}', "17", ""):
        assert readable(other) == other


def test_nothing_in_a_line_moves_a_terminal_s_cursor_or_makes_it_two() -> None:
    words = "a\x1b[2J\x9b2J\u202eb\nc"
    line = {"event": words, "user": words, "traceback": f"one\n{words}"}
    head, *traceback = as_text(line).splitlines()
    assert all(each.isprintable() for each in (head, *traceback))
    assert len(traceback) == 3 and all(each.startswith("    ") for each in traceback)


# --- how much -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "component", "level"),
    [
        ("", "proxy", Level.INFO),
        ("debug", "proxy", Level.DEBUG),
        ("warning,proxy=debug", "proxy", Level.DEBUG),
        ("warning, proxy=debug", "agent", Level.WARNING),
        ("proxy=debug", "agent", Level.INFO),
    ],
)
def test_a_level_is_for_all_or_for_one_component(
    written: str, component: str, level: Level
) -> None:
    assert from_environment({LEVEL_VARIABLE: written}, component, is_terminal=False).level is level


@pytest.mark.parametrize(
    "written", ["loud", "INFO", "cook=debug", "=debug", "proxy=", "info;debug"]
)
def test_a_level_that_is_none_is_named_with_those_that_are(written: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        from_environment({LEVEL_VARIABLE: written}, "proxy", is_terminal=False)
    message = refused.value.message
    assert LEVEL_VARIABLE in message and repr(written) in message
    assert all(allowed in message for allowed in (*Level, *COMPONENTS))


@pytest.mark.parametrize(
    ("written", "is_terminal", "is_for_people"),
    [("", False, False), ("", True, True), ("json", True, False), ("text", False, True)],
)
def test_people_are_written_to_on_a_terminal_or_where_they_ask_for_it(
    written: str, is_terminal: bool, is_for_people: bool
) -> None:
    found = from_environment({FORM_VARIABLE: written}, "proxy", is_terminal=is_terminal)
    assert found == LogSettings(is_for_people=is_for_people)


def test_a_form_that_is_none_is_named() -> None:
    with pytest.raises(InvalidRequest, match=r"TORPOR_LOG_FORMAT is 'xml': write json or text"):
        from_environment({FORM_VARIABLE: "xml"}, "proxy", is_terminal=False)


# --- a process ----------------------------------------------------------------------------------

PROGRAM = """
import logging, sys, warnings
from torpor_api.logs import log_to_stderr
log_to_stderr("proxy", {"TORPOR_LOG_LEVEL": sys.argv[1]}, {"proxy": "p-1"})
ours, foreign = logging.getLogger("torpor_proxy.main"), logging.getLogger("urllib3")
ours.debug("so_much")
ours.info("it_is", extra={"database": "shop"})
foreign.info("Authorization: secret")
foreign.warning("retrying")
warnings.warn("old")
raise RuntimeError("a defect")
"""


def run(level: str) -> tuple[list[dict[str, Any]], str]:
    argv = [sys.executable, "-c", PROGRAM, level]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
    assert not done.stdout
    lines = done.stderr.splitlines()
    is_json = all(line.startswith("{") for line in lines)
    return ([json.loads(line) for line in lines] if is_json else []), done.stderr


def test_all_that_a_process_says_is_a_line_its_own_end_too() -> None:
    lines, text = run("debug")
    events = [line["event"] for line in lines]
    assert events == ["so_much", "it_is", "foreign", "foreign", "crashed"]
    assert all(line["component"] == "proxy" and line["proxy"] == "p-1" for line in lines)
    assert "secret" not in text and lines[2]["message"] == "retrying"
    assert lines[3]["logger"] == "py.warnings" and "old" in lines[3]["message"]
    assert lines[4]["level"] == "error" and lines[4]["traceback"].endswith("a defect")


def test_above_its_level_it_says_nothing_less() -> None:
    lines, _ = run("warning")
    assert [line["event"] for line in lines] == ["foreign", "foreign", "crashed"]


def test_it_does_not_begin_with_a_level_that_is_none() -> None:
    lines, text = run("loud")
    assert lines == [] and text.startswith("torpor_proxy: TORPOR_LOG_LEVEL is 'loud': write ")
    assert text.count("\n") == 1
