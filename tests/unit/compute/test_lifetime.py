"""When an agent in a pod ends by itself, and when it does not."""

from __future__ import annotations

import asyncio

import pytest

from torpor_compute import lifetime
from torpor_compute.core.lifecycle import State
from torpor_compute.lifetime import Lifetime

SECONDS_MAX = 10.0

LINGER_SECONDS = 0.01


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifetime, "REFUSED_SECONDS_MAX", 0.02)
    monkeypatch.setattr(lifetime, "ERASED_SECONDS_MAX", 0.02)


async def whoever_has_begun_to_wait_by_now_is_over() -> None:
    later = Lifetime(LINGER_SECONDS)
    for state in (State.STARTING, State.REFUSED):
        later.became(state)
    async with asyncio.timeout(SECONDS_MAX):
        await later.is_over.wait()


@pytest.mark.parametrize("end", [State.STOPPED, State.FAILED, State.REFUSED, State.ERASED])
async def test_what_is_used_up_ends_after_a_while(end: State) -> None:
    life = Lifetime(LINGER_SECONDS)
    for state in (State.STARTING, State.RUNNING, end):
        life.became(state)
        assert not life.is_over.is_set()
    async with asyncio.timeout(SECONDS_MAX):
        await life.is_over.wait()
    assert life.has_failed is (end not in (State.STOPPED, State.ERASED))


async def test_who_was_refused_and_tries_again_goes_on() -> None:
    life = Lifetime(LINGER_SECONDS)
    for state in (State.STARTING, State.REFUSED, State.STARTING, State.RUNNING):
        life.became(state)
    await whoever_has_begun_to_wait_by_now_is_over()
    assert not life.is_over.is_set() and not life.has_failed


async def test_who_has_erased_and_is_asked_for_the_next_one_goes_on() -> None:
    life = Lifetime(LINGER_SECONDS)
    for state in (State.STARTING, State.ERASED):
        life.became(state)
    assert life.may_leave.is_set()
    life.became(State.STARTING)
    await whoever_has_begun_to_wait_by_now_is_over()
    assert not life.is_over.is_set() and not life.may_leave.is_set()


async def test_told_to_end_who_serves_nobody_may_leave_at_once() -> None:
    life = Lifetime(LINGER_SECONDS)
    assert life.may_leave.is_set()
    for state in (State.STARTING, State.RUNNING, State.RESTARTING, State.STOPPING):
        life.became(state)
        assert not life.may_leave.is_set()
    life.became(State.REFUSED)
    assert life.may_leave.is_set()


@pytest.mark.parametrize("end", [State.STOPPED, State.FAILED])
async def test_who_has_just_stopped_stays_for_as_long_as_its_answer_may_be_asked_for(
    end: State,
) -> None:
    life = Lifetime(LINGER_SECONDS)
    for state in (State.STARTING, State.RUNNING, end):
        life.became(state)
    assert not life.may_leave.is_set()
    async with asyncio.timeout(SECONDS_MAX):
        await life.may_leave.wait()
