"""Logs: when a line was said, whose it is, and that none is lost or told twice."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from torpor_api.failures import Failure, NotFound, Refused
from torpor_cli.local.log_tail import LogTail
from torpor_cli.logs.following import Followed
from torpor_cli.logs.lines import Told, merged, time_of, timed
from torpor_cli.logs.source import OfAgent, OfPostgres, Source, is_about

NOON = datetime(2027, 1, 1, 12, 0, 0, 123_000, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-01 12:00:00.123 UTC [17] LOG:  ready",
        "2027-01-01 12:00:00.123 GMT [17] LOG:  ready",
        '{"at": "2027-01-01T12:00:00.123Z", "level": "info"}',
        '{"at": "2027-01-01T13:00:00.123+01:00", "level": "info"}',
        '{"at": "2027-01-01T12:00:00.123456+00:00", "level": "info"}',
    ],
)
def test_times_with_a_zone_are_that_time_everywhere(text: str) -> None:
    found = time_of(text)
    assert found is not None and abs(found - NOON) < 0.001


def test_a_time_without_a_zone_is_this_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert time_of('{"at": "2027-01-01 21:00:00,123"}') == pytest.approx(NOON)
        assert time_of("2027-01-01 21:00:00.123 JST [17] LOG:  ready") == pytest.approx(NOON)
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_is_no_time_is_none() -> None:
    assert [time_of(text) for text in ("", "DETAIL: 12:00", "2027-13-45 99:00:00 x")] == [None] * 3
    assert time_of("x" * 100 + "2027-01-01 12:00:00 UTC") is None


def test_lines_are_merged_by_time_and_a_message_of_several_lines_stays_together() -> None:
    postgres = timed(
        "database/shop",
        [
            (None, "2027-01-01 12:00:01 UTC [1] ERROR:  no"),
            (None, "\tSTATEMENT:  select"),
            (None, "2027-01-01 12:00:03 UTC [1] LOG:  yes"),
        ],
    )
    agent = timed("compute/c1", [(NOON + 2, "in between")])
    texts = [line.text for line in merged([postgres, agent])]
    assert texts[1:3] == ["\tSTATEMENT:  select", "in between"]
    assert [line.text for line in merged([postgres, agent], since=NOON + 2)] == [
        "in between",
        "2027-01-01 12:00:03 UTC [1] LOG:  yes",
    ]


def test_a_components_lines_are_found_by_what_they_say_of_themselves() -> None:
    line = json.dumps({"event": "agent_state", "compute": "c1", "session": 17})
    assert is_about(line, "compute", "c1") and is_about(line, "session", 17)
    assert not is_about(line, "compute", "c11") and not is_about(line, "session", 7)
    assert not is_about('no json, though "compute" is in it', "compute", "c1")
    assert not is_about('["compute"]', "compute", "c1")
    text = "16:20:07.123 INFO    proxy      session_refused proxy=proxy-7 session=17"
    assert is_about(text, "session", 17) and is_about(text, "proxy", "proxy-7")
    assert not is_about(text, "session", 1) and not is_about(text, "proxy", "proxy")


# --- files of this machine ----------------------------------------------------------------------


def test_a_file_is_read_from_its_old_part_on_and_then_what_is_added(tmp_path: Path) -> None:
    log, old = tmp_path / "a.log", tmp_path / "a.log.1"
    old.write_text("oldest\n")
    log.write_text("first\nsec")
    tail = LogTail(log)
    assert texts(tail) == ["oldest", "first"]
    assert texts(tail) == []
    with log.open("a") as file:
        file.write("ond\nthird\n")
    assert texts(tail) == ["second", "third"]


def test_a_file_that_was_moved_aside_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text("a long first line\n")
    tail = LogTail(log)
    texts(tail)
    os.truncate(log, 0)
    assert texts(tail) == []
    log.write_text("new\n")
    assert texts(tail) == ["new"]


def test_only_what_is_wanted_is_told_and_bad_bytes_do_no_harm(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"keep \xff\r\ndrop\nkeep\n")
    assert texts(LogTail(log, lambda line: line.startswith("keep"))) == ["keep \ufffd", "keep"]


def texts(tail: LogTail) -> list[str]:
    return [text for _, text in tail.read()]


# --- several together ---------------------------------------------------------------------------


class Scripted:
    """Says what it was given, call by call."""

    def __init__(self, *calls: list[Told] | Failure) -> None:
        self._calls = list(calls)

    def read(self) -> list[Told]:
        call = self._calls.pop(0)
        if isinstance(call, Failure):
            raise call
        return call


@pytest.mark.parametrize("hindrance", [NotFound("no log yet"), Refused("not by you")])
def test_sources_go_on_together_and_one_that_can_not_be_read_keeps_nobody(
    hindrance: Failure,
) -> None:
    shop, c1 = OfPostgres("shop"), OfAgent("c1")
    readers: dict[Source, Scripted] = {
        shop: Scripted(hindrance, [(None, "2027-01-01 12:00:01 UTC [1] a")], [(None, "b")]),
        c1: Scripted([(NOON, "warm")], [(NOON + 9, "running")], []),
    }
    followed = Followed(readers)
    assert [line.text for line in followed.read()] == ["warm"]
    assert set(followed.unread) == {shop}
    assert followed.is_refused == isinstance(hindrance, Refused)
    assert [line.source for line in followed.read()] == ["database/shop", "compute/c1"]
    assert followed.unread == {} and not followed.is_refused
    (later,) = followed.read()
    assert later.at == datetime(2027, 1, 1, 12, 0, 1, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("hindrance", [NotFound("no log yet"), Refused("not by you")])
def test_that_no_source_can_be_read_is_a_failure(hindrance: Failure) -> None:
    sources = OfPostgres("shop"), OfAgent("c1")
    for count in (1, 2):
        with pytest.raises(type(hindrance)):
            Followed({source: Scripted(hindrance) for source in sources[:count]}).read()
