"""A trace made of looks, one a second, is what has happened: to the second, and without a name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import inf

import pytest

from torpor_simulator.recorded import Recorded, parse
from torpor_simulator.recorder import Recorder, Seen

Query = tuple[float, float]
"""When it began and ended."""


def seen(queries: Sequence[Query], at: float, sessions: int = 1, name: str = "shop") -> Seen:
    """What the autoscaler would say at that moment."""
    begun = [(begin, end) for begin, end in queries if begin <= at]
    ago_s = 0.0 if any(end > at for _, end in begun) else at - max(end for _, end in begun)
    return Seen(name, ago_s, len([end for _, end in begun if end <= at]), sessions, 0.5)


def recorded(queries: Sequence[Query], seconds: int = 60, timeout_s: float = inf) -> Recorded:
    """Asleep, and so not seen, where the latest query is longer ago."""
    recorder, lines = Recorder(), []
    for at in range(1, seconds + 1):
        is_awake = any(begin <= at and at - end < timeout_s for begin, end in queries)
        lines += recorder.look(at, [seen(queries, at)] if is_awake else [])
    return read([*lines, *recorder.end(["shop"])], seconds)[0]


def read(lines: Sequence[object], seconds: int = 60) -> tuple[Recorded, ...]:
    head = {"torporTrace": 1, "seconds": seconds}
    return parse(map(json.dumps, (head, *lines)), "test").databases


def test_single_queries_are_known_to_the_millisecond() -> None:
    found = recorded([(3.2, 3.201), (9.8, 9.801), (30.05, 30.051)], timeout_s=2.0)
    assert found.uses == [(3.201, 0.0), (9.801, 0.0), (30.051, 0.0)]
    assert (found.queries, found.sessions, found.cu, found.linger_s) == (3, 1, 0.5, inf)


def test_a_long_query_is_one_use() -> None:
    ((begin, length),) = recorded([(5.3, 25.7)]).uses
    assert begin == pytest.approx(5.3, abs=0.5)
    assert begin + length == pytest.approx(25.7)


def test_many_queries_without_a_pause_are_one_use() -> None:
    queries = [(10 + step * 0.3, 10.01 + step * 0.3) for step in range(50)]
    found = recorded(queries)
    ((begin, length),) = found.uses
    assert begin == pytest.approx(10.0, abs=0.6)
    assert begin + length == pytest.approx(24.71)
    assert found.queries == 50


def test_pauses_are_known_to_a_second() -> None:
    queries = [(begin, begin + 0.5) for begin in (2.2, 7.9, 11.4, 11.95, 33.3, 50.0)]
    life = recorded(queries).life(60.0)
    assert life.stretches[0].gaps == pytest.approx([5.2, 3.0, 20.85, 16.2], abs=0.6)


def test_what_was_before_the_trace_is_not_in_it() -> None:
    recorder = Recorder()
    assert recorder.look(1.0, [Seen("shop", 5.0, 7, 1, 1.0)]) == []
    assert recorder.look(2.0, [Seen("shop", 6.0, 7, 1, 1.0)]) == []
    assert list(recorder.end([])) == []


def test_no_name_is_in_the_trace_and_each_database_is() -> None:
    recorder = Recorder()
    recorder.look(1.0, [Seen("secret-plan", 0.0, 1, 3, 1.0), Seen("shop", 0.5, 1, 1, 1.0)])
    lines = list(recorder.end(["shop", "secret-plan", "never-used"]))
    assert "secret" not in json.dumps(lines) and "shop" not in json.dumps(lines)
    found = read(lines)
    assert [one.name for one in found] == ["db-000000", "db-000001", "db-000002"]
    assert [len(one.uses) for one in found] == [1, 1, 0]
    assert [one.sessions for one in found] == [3, 1, 1]


def test_how_long_clients_stay_is_seen_when_they_go() -> None:
    recorder = Recorder()
    for at in range(1, 30):
        recorder.look(at, [seen([(0.5, 0.6)], at, sessions=int(at < 12))])
    (found,) = read(list(recorder.end([])))
    assert found.linger_s == pytest.approx(11 - 0.6)


def test_a_proxy_that_begins_anew_takes_no_query_back() -> None:
    recorder = Recorder()
    for at, queries in ((1, 100), (5, 140), (9, 3)):
        recorder.look(at, [Seen("shop", 0.0, queries, 1, 1.0)])
    (found,) = read(list(recorder.end([])))
    assert found.queries == 40 + 3
