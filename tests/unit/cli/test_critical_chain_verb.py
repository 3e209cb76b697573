"""`torpor critical-chain` and `plot`: what they ask, and what they show of an autoscaler that has
begun anew."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.verb_places import SHOP, Autoscaler, on_machine
from torpor_api import messages as m
from torpor_api.chain import Step
from torpor_api.failures import NotFound
from torpor_api.resource import LastResume

AT = "2027-01-01T12:00:00Z"

RECORDED = LastResume(
    steps=(
        Step(name="claim", where="autoscaler", ms=4.0),
        Step(name="start of postgres", where="postgres", ms=36.0),
    ),
    total_ms=40.0,
    at=AT,
    cause="session 3 of app",
)


@pytest.fixture
async def autoscaler(tmp_path: Path) -> AsyncIterator[Autoscaler]:
    """It has begun anew: of what was before it knows nothing."""
    async with on_machine(tmp_path) as fake:
        fake.answers[m.AskTransitions] = m.TransitionList(transitions=(), since=AT)
        status = SHOP.status.model_copy(update={"last_resume": RECORDED, "epoch": 7})
        known = SHOP.model_copy(update={"status": status})
        fake.answers[m.GetResource] = m.Stored(resource=known)
        yield fake


async def test_what_woke_before_the_autoscaler_began_is_in_its_record(
    autoscaler: Autoscaler,
) -> None:
    done = await autoscaler.torpor("critical-chain", "shop", "-o", "json")
    told = json.loads(done.stdout)
    assert (told["kind"], told["epoch"], told["at"]) == ("resume", 7, AT)
    assert [(span["name"], span["begin_ms"]) for span in told["spans"]] == [
        ("claim", 0.0),
        ("start of postgres", 4.0),
    ]


@pytest.mark.parametrize("more", [("--kind", "suspend"), ("--within", "1h")])
async def test_a_record_is_no_answer_to_any_other_question(
    autoscaler: Autoscaler, more: tuple[str, str]
) -> None:
    done = await autoscaler.torpor("critical-chain", "shop", *more)
    assert isinstance(done.exception, NotFound)
    assert "start of postgres" not in done.output


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
