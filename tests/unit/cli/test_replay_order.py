"""Which statement of a log may begin: what had ended before it ends before it, and nobody waits for
ever."""

from __future__ import annotations

import asyncio
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_cli.replay import turns as turns_module
from torpor_cli.replay.order import PRECISION_S, Order
from torpor_cli.replay.statement import Statement
from torpor_cli.replay.turns import Turns


def statement(begin_s: float, took_s: float = 0.0) -> Statement:
    return Statement(0, begin_s, "log:1", "select 1", True, took_ms=took_s * 1000)


def opened(*expected: Statement) -> tuple[Order, list[int]]:
    order = Order()
    order.opened_s = inf
    return order, [order.expect(each) for each in expected]


def test_what_had_ended_before_is_waited_for() -> None:
    order, (first, second) = opened(statement(1.0, 0.5), statement(2.0, 0.5))
    assert order.limit_s < 2.0
    order.done(first)
    assert order.limit_s >= 2.0
    order.done(second)
    assert order.limit_s == inf


def test_what_overlapped_may_overlap() -> None:
    order, _ = opened(statement(1.0, 5.0), statement(2.0, 1.0), statement(2.5, 0.1))
    assert 2.5 <= order.limit_s < 3.0


def test_times_are_cut_to_milliseconds() -> None:
    """It ended at 1.0104, which the log has as 1.010; the next began at 1.0106."""
    order, _ = opened(statement(1.0, 0.010), statement(1.0095, 0.010))
    assert order.limit_s < 1.0095
    order, _ = opened(statement(1.0, 0.010), statement(1.010 - 2 * PRECISION_S, 0.010))
    assert order.limit_s >= 1.010 - 2 * PRECISION_S


def test_a_session_that_is_still_to_open_counts() -> None:
    order = Order()
    order.opened_s = 1.0
    order.expect(statement(3.0))
    assert order.limit_s == 1.0


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), min_size=1, max_size=30))
def test_somebody_may_always_begin(times: list[tuple[int, int]]) -> None:
    """In whatever way statements overlap, with times of which a log knows whole milliseconds."""
    order, waiting = Order(), {}
    order.opened_s = inf
    for begin, took in times:
        one = statement(begin / 1000, took / 1000)
        waiting[order.expect(one)] = one
    while waiting:
        limit_s = order.limit_s
        may = [number for number, one in waiting.items() if one.begin_s <= limit_s]
        assert may
        del waiting[may[-1]]
        order.done(may[-1])


async def test_sessions_come_in_their_turn() -> None:
    turns, came = Turns(), list[str]()

    async def session(name: str, one: Statement, number: int) -> None:
        assert await turns.come(one)
        came.append(name)
        await asyncio.sleep(0)
        turns.done(number)

    all = {"c": statement(3.0), "a": statement(1.0, 0.5), "b": statement(2.0, 0.5)}
    tasks = [session(name, one, turns.expect(one)) for name, one in all.items()]
    turns.opened_until()
    await asyncio.gather(*tasks)
    assert came == ["a", "b", "c"]


async def test_who_waits_for_too_long_goes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns_module, "TURN_SECONDS_MAX", 0.01)
    turns = Turns()
    turns.opened_until()
    stuck = turns.expect(statement(1.0))
    assert not await turns.come(statement(2.0))
    turns.done(stuck)
    assert await turns.come(statement(3.0))
