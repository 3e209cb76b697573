"""`torpor critical-chain` and `plot`: what they ask, and what they show where little is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.verb_places import Autoscaler, on_machine
from torpor_api import messages as m
from torpor_api.failures import NotFound
from torpor_api.transition import Span, Transition, TransitionKind

AT = "2027-01-01T12:00:00Z"

RECORDED = Transition(
    database="shop",
    kind=TransitionKind.RESUME,
    at=AT,
    epoch=0,
    cause="session 3 of app",
    total_ms=40.0,
    spans=(
        Span(name="claim", where="autoscaler", begin_ms=0.0, ms=4.0),
        Span(name="start of postgres", where="postgres", begin_ms=4.0, ms=36.0),
    ),
    is_recorded=True,
)


@pytest.fixture
async def autoscaler(tmp_path: Path) -> AsyncIterator[Autoscaler]:
    """It knows of no transition."""
    async with on_machine(tmp_path) as fake:
        fake.answers[m.AskTransitions] = m.TransitionList(transitions=(), since=AT)
        yield fake


async def test_what_only_a_record_tells_says_so_and_names_no_epoch(autoscaler: Autoscaler) -> None:
    told = m.TransitionList(transitions=(RECORDED,), since=AT)
    autoscaler.answers[m.AskTransitions] = told
    tree = (await autoscaler.torpor("critical-chain", "shop")).stdout.splitlines()
    assert tree[0].startswith("shop: resume, 40.0 ms, ")
    assert tree[2].startswith("from its record")
    (_, line) = (await autoscaler.torpor("critical-chain", "--slowest", "9")).stdout.splitlines()
    assert "resume (recorded)" in line
    picture = (await autoscaler.torpor("plot", "shop")).stdout
    assert "epoch" not in picture and f"40.0 ms, {AT}, recorded" in picture


async def test_a_wake_that_nobody_has_used_yet_says_so(autoscaler: Autoscaler) -> None:
    unfinished = RECORDED.model_copy(update={"is_recorded": False, "is_unfinished": True})
    told = m.TransitionList(transitions=(unfinished,), since=AT)
    autoscaler.answers[m.AskTransitions] = told
    tree = (await autoscaler.torpor("critical-chain", "shop")).stdout
    assert "\nawake, and nobody has got a first row yet\n" in tree
    assert f"40.0 ms, {AT}, no row yet" in (await autoscaler.torpor("plot", "shop")).stdout


@pytest.mark.parametrize("verb", ["critical-chain", "plot"])
@pytest.mark.parametrize("output", [(), ("-o", "json")])
async def test_none_is_a_failure_in_words_and_in_json(
    autoscaler: Autoscaler, verb: str, output: tuple[str, ...]
) -> None:
    done = await autoscaler.torpor(verb, "shop", "--kind", "suspend", "--kind", "failover", *output)
    assert isinstance(done.exception, NotFound) and not done.stdout
    assert done.exception.message == "no suspend or failover of shop is known"


async def test_the_slowest_are_asked_of_the_whole_fleet(autoscaler: Autoscaler) -> None:
    await autoscaler.torpor("critical-chain", "--slowest", "20", "--within", "90s")
    (asked,) = [one for one in autoscaler.asked if isinstance(one, m.AskTransitions)]
    assert (asked.database, asked.limit, asked.within_s) == ("", 20, 90.0)
    assert asked.order is m.TransitionOrder.SLOWEST
