"""`torpor switchover` and `torpor sessions`: what they ask over the wire, and what they print."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from support.fake_kube.server import FakeKube
from support.verb_places import Autoscaler, on_cluster, on_machine
from torpor_api import messages as m
from torpor_api.chain import Step
from torpor_api.failures import Busy, NotFound
from torpor_api.phases import Phase

GROWN = m.Decided(
    since="2026-01-01T12:00:00Z",
    loop="size",
    follows="grows from 1 to 2 CU",
    metric="load",
    value=1.4,
    threshold=0.9,
    unit="CPU",
    window_s=60.0,
    line="grows from 1 to 2 CU: load 1.4 CPU over 1m, above 0.9 CPU",
)

WOKEN = GROWN.model_copy(
    update={
        "loop": "awake",
        "since": "2026-01-01T11:59:58Z",
        "line": "wakes (user app, application \x1b[2J): wanted by 1, above 0",
    }
)

MOVED = m.SwitchedOver(
    epoch=8,
    compute="c0ffee",
    pause_ms=81.4,
    steps=(
        Step(name="park every session", where="proxy", ms=40.0),
        Step(name="start of postgres", where="postgres", ms=41.4),
    ),
)

PINNED = m.SessionInfo(
    session=17,
    user="app",
    dbname="shop",
    application="worker",
    client="10.0.0.7:5000",
    state=m.SessionStanding.PINNED,
    since_s=190.0,
    reason="holds advisory lock 42",
)


@pytest.fixture(params=["machine", "cluster"])
async def autoscaler(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Autoscaler]:
    """Whatever is asked and answered is the same on one machine and on a cluster."""
    if request.param == "machine":
        async with on_machine(tmp_path) as fake:
            yield fake
    else:
        async with FakeKube().serving() as kube, on_cluster(tmp_path, kube) as fake:
            yield fake


@pytest.fixture(autouse=True)
def answers(autoscaler: Autoscaler) -> None:
    autoscaler.answers[m.Switchover] = MOVED


async def test_a_switchover_tells_where_to_how_long_and_why_so_long(
    autoscaler: Autoscaler,
) -> None:
    result = await autoscaler.torpor("switchover", "shop")
    assert result.exit_code == 0, result.output
    assert autoscaler.asked == [m.Switchover(name="shop", patience_s=10.0)]
    lines = result.stdout.splitlines()
    assert lines[0] == "shop moved to compute c0ffee, epoch 8: clients waited at most 81 ms"
    assert lines[2].split() == ["STEP", "WHERE", "MS"]
    assert lines[-1].split() == ["total", "81.4"]
    assert result.stderr == "moving shop to a fresh compute …\n"


async def test_a_switchover_for_programs(autoscaler: Autoscaler) -> None:
    result = await autoscaler.torpor("switchover", "shop", "--patience", "1500ms", "-o", "json")
    assert autoscaler.asked == [m.Switchover(name="shop", patience_s=1.5)]
    assert m.SwitchedOver.model_validate_json(result.stdout) == MOVED


async def test_a_refused_switchover_is_a_failure_of_the_verb(autoscaler: Autoscaler) -> None:
    autoscaler.answers[m.Switchover] = Busy(
        "shop stays on its compute: session 17 holds advisory lock 42"
    )
    result = await autoscaler.torpor("switchover", "shop")
    assert isinstance(result.exception, Busy) and "session 17" in str(result.exception)


@pytest.mark.parametrize("patience", ["0s", "46s", "soon", "5"])
async def test_a_patience_that_can_not_be(autoscaler: Autoscaler, patience: str) -> None:
    result = await autoscaler.torpor("switchover", "shop", "--patience", patience)
    assert result.exit_code == 2 and patience in result.stderr
    assert autoscaler.asked == []


async def test_sessions_are_a_table(autoscaler: Autoscaler) -> None:
    autoscaler.answers[m.Sessions] = m.SessionList(
        sessions=(PINNED,), total=3, missing=("proxy-2",)
    )
    result = await autoscaler.torpor("sessions", "shop")
    assert autoscaler.asked == [m.Sessions(name="shop", limit=1000)]
    header, line, more = result.stdout.splitlines()
    assert header.startswith("SESSION") and line.endswith("holds advisory lock 42")
    assert more == "and 2 more"
    assert result.stderr == "proxy-2 did not answer: its sessions are not shown\n"


async def test_sessions_for_programs(autoscaler: Autoscaler) -> None:
    told_by = m.SessionList(sessions=(PINNED,), total=1)
    autoscaler.answers[m.Sessions] = told_by
    result = await autoscaler.torpor("sessions", "shop", "-o", "json")
    told = json.loads(result.stdout)
    assert m.SessionList.model_validate(told) == told_by
    (session,) = told["sessions"]
    assert (session["process_id"], session["backend_process_id"]) == (0, 0)


async def test_nobody_is_nobody(autoscaler: Autoscaler) -> None:
    result = await autoscaler.torpor("sessions", "shop")
    assert result.stdout == "nobody is connected to shop\n"


@pytest.mark.parametrize(
    ("resized", "lines"),
    [
        (m.Resized(cu=Decimal("0.5")), ["shop has 0.5 CU"]),
        (
            m.Resized(cu=Decimal("0.5"), pause_ms=81.4),
            ["shop has 0.5 CU by a switchover: clients waited at most 81 ms"],
        ),
        (
            m.Resized(cu=Decimal("0.5"), needs_restart=("shared_buffers is 512MB, not 128MB",)),
            ["shop has 0.5 CU", "until its next compute shared_buffers is 512MB, not 128MB"],
        ),
    ],
)
async def test_a_resize_says_how_far_it_has_come(
    autoscaler: Autoscaler, resized: m.Resized, lines: list[str]
) -> None:
    autoscaler.answers[m.Resize] = resized
    result = await autoscaler.torpor("resize", "shop", "0.50")
    assert autoscaler.asked == [m.Resize(name="shop", cu=Decimal("0.5"))]
    assert result.stdout.splitlines() == lines
    told = await autoscaler.torpor("resize", "shop", "0.5", "-o", "json")
    assert m.Resized.model_validate_json(told.stdout) == resized


@pytest.mark.parametrize("cu", ["0.3", "-1", "much", "nan"])
async def test_a_size_that_can_not_be(autoscaler: Autoscaler, cu: str) -> None:
    result = await autoscaler.torpor("resize", "shop", "--", cu)
    assert result.exit_code == 2 and "compute units" in result.stderr
    assert autoscaler.asked == []


async def test_a_wake_a_sleep_and_a_reason(autoscaler: Autoscaler) -> None:
    step = Step(name="start of postgres", where="postgres", ms=41.4)
    endpoint = m.EndpointInfo(name="shop", phase=Phase.ACTIVE, epoch=8)
    autoscaler.answers[m.Wake] = m.Awake(endpoint=endpoint, steps=(step,))
    reasons = ("an open transaction",)
    autoscaler.answers[m.Why] = m.WhyReply(name="shop", phase=Phase.ACTIVE, reasons=reasons)
    assert (await autoscaler.torpor("resume", "shop")).stdout == "shop is awake after 41 ms\n"
    autoscaler.answers[m.Wake] = m.Awake(endpoint=endpoint, steps=(step,), was_awake=True)
    assert (await autoscaler.torpor("resume", "shop")).stdout == "shop was awake already\n"
    why = await autoscaler.torpor("why", "shop.default")
    assert why.stdout == "shop is Active\n  an open transaction\n"
    assert (await autoscaler.torpor("suspend", "shop")).stdout == "shop is suspended\n"
    assert autoscaler.asked == [
        m.Wake(name="shop", cause="torpor resume"),
        m.Wake(name="shop", cause="torpor resume"),
        m.Why(name="shop"),
        m.Suspend(name="shop"),
    ]


async def test_decisions_have_the_time_of_this_machine_and_the_newest_comes_last(
    autoscaler: Autoscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    autoscaler.answers[m.AskDecisions] = m.DecisionList(name="shop", decisions=(WOKEN, GROWN))
    result = await autoscaler.torpor("decisions", "shop.default")
    monkeypatch.undo()
    time.tzset()
    assert autoscaler.asked == [m.AskDecisions(name="shop")]
    assert result.stdout.splitlines() == [
        "SINCE                LOOP   DECISION",
        "2026-01-01 17:29:58  awake  wakes (user app, application ?[2J): wanted by 1, above 0",
        f"2026-01-01 17:30:00  size   {GROWN.line}",
    ]


async def test_decisions_for_programs_have_figures_and_utc(autoscaler: Autoscaler) -> None:
    told = m.DecisionList(name="shop", decisions=(WOKEN, GROWN))
    autoscaler.answers[m.AskDecisions] = told
    result = await autoscaler.torpor("decisions", "shop", "-o", "json")
    assert m.DecisionList.model_validate_json(result.stdout) == told
    assert '"since": "2026-01-01T12:00:00Z"' in result.stdout and '"value": 1.4' in result.stdout


async def test_no_decisions_and_no_database(autoscaler: Autoscaler) -> None:
    autoscaler.answers[m.AskDecisions] = m.DecisionList(name="shop")
    nothing = await autoscaler.torpor("decisions", "shop")
    assert nothing.stdout == "nothing has been decided about shop since the autoscaler started\n"
    missing = NotFound("no database 'shop'", hint="`torpor list` shows those there are")
    autoscaler.answers[m.AskDecisions] = missing
    unknown = await autoscaler.torpor("decisions", "shop")
    assert isinstance(unknown.exception, NotFound) and unknown.stdout == ""


async def test_why_shows_which_decisions_hold(autoscaler: Autoscaler) -> None:
    reasons = ("session 3, application \x1b[2J",)
    told = m.WhyReply(name="shop", phase=Phase.ACTIVE, reasons=reasons, decisions=(GROWN,))
    autoscaler.answers[m.Why] = told
    lines = (await autoscaler.torpor("why", "shop")).stdout.splitlines()
    assert lines[:3] == ["shop is Active", "  session 3, application ?[2J", ""]
    assert lines[3].split() == ["SINCE", "LOOP", "DECISION"]
    assert lines[4].endswith(f"  size  {GROWN.line}") and len(lines) == 5
