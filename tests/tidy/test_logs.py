"""Calls that log are all alike, and docs/logs.md has every event that there is, and no other."""

from __future__ import annotations

import re
from collections import defaultdict

from tidy.log_calls import COMPONENTS_OF, LogCall, calls_in, log_calls
from tidy.log_document import TEXT, Event, documented
from tidy.tree import PACKAGE_FOLDERS, ROOT
from torpor_api.logs import COMPONENTS, FOREIGN, Level

SNAKE_CASE = re.compile(r"[a-z]+(_[a-z]+)*")

OF_EACH_LINE = frozenset(
    ("at", "level", "component", "event", "logger", "message", "traceback", "proxy")
)
"""What the form of a line has already."""

NEVER = frozenset(
    ("password", "verifier", "key", "token", "query", "sql", "statement", "parameters", "value")
)
"""What no field is called, because no field may hold it."""


def logged() -> dict[str, Event]:
    """By name."""
    found: dict[str, Event] = defaultdict(Event)
    for call in log_calls():
        one = found[call.event]
        one.levels |= call.levels
        one.components |= set(call.components)
        one.fields |= call.fields
    return dict(found)


def test_each_call_says_its_event_level_and_fields_where_it_stands() -> None:
    assert [(call.place, call.faults) for call in log_calls() if call.faults] == []


def test_events_are_in_snake_case() -> None:
    assert [call.place for call in log_calls() if not SNAKE_CASE.fullmatch(call.event)] == []


def test_no_field_takes_the_place_of_one_that_each_line_has() -> None:
    assert [call.place for call in log_calls() if call.fields & OF_EACH_LINE] == []


def test_no_field_is_made_for_a_secret_or_a_query() -> None:
    assert [call.place for call in log_calls() if call.fields & NEVER] == []


def test_what_has_a_session_or_an_epoch_has_its_database() -> None:
    """An agent's lines have it all: its process serves one."""
    lost = [
        call.place
        for call in log_calls()
        if call.fields & {"session", "epoch"} and "database" not in call.fields
    ]
    assert lost == []


def test_the_document_has_every_event_as_it_is() -> None:
    assert documented() == logged() | {FOREIGN: _foreign()}


def _foreign() -> Event:
    return Event({"warning", "error"}, set(COMPONENTS), {"logger", "message"})


def test_the_document_has_every_level() -> None:
    assert [level for level in Level if f"| `{level}` |" not in TEXT] == []


def test_each_package_is_of_some_component() -> None:
    packages = {
        path.parent.name
        for folder in PACKAGE_FOLDERS
        for path in (ROOT / folder).glob("torpor_*/__init__.py")
    }
    assert packages == set(COMPONENTS_OF) | {"torpor_simulator"}


# --- that it would be noticed -------------------------------------------------------------------


def read(body: str, path: str = "proxy/torpor_proxy/executor/session.py") -> LogCall:
    source = "def f(self, name):\n" + "".join(f"    {line}\n" for line in body.splitlines())
    (call,) = calls_in(source, path)
    return call


def test_fields_are_read_from_where_they_are_put_together() -> None:
    call = read(
        'extra = {**self.identity.log_keys, "reason": name}\nlog.info("it_is", extra=extra)'
    )
    assert (call.event, call.faults) == ("it_is", ())
    assert call.fields == {"database", "session", "epoch", "reason"}


def test_a_level_that_depends_is_both() -> None:
    call = read('level = logging.INFO if name else logging.WARNING\nlog.log(level, "it_is")')
    assert call.levels == {"info", "warning"} and not call.faults


def test_what_can_not_be_seen_is_a_fault() -> None:
    assert read("log.info(name)").faults
    assert read('log.info("it %s", name)').faults
    assert read('log.info("it_is", extra=name)').faults
    assert read('log.info("it_is", extra={name: 1})').faults
    assert read('log.log(name, "it_is")').faults


def test_what_the_autoscaler_notes_of_a_database_is_an_event() -> None:
    path = "autoscaler/torpor_autoscaler/lifecycle/life.py"
    call = read('outcomes.warn(database, "blocked", reason=name)', path)
    assert call.event == "blocked" and call.levels == {"warning"}
    assert call.fields == {"database", "epoch", "compute", "reason"}
