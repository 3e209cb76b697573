"""Chains, words, back-offs, deadlines and settings."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from torpor_api.chain import Chain, Step
from torpor_api.messages import SessionReport
from torpor_api.resource import Endpoint
from torpor_api.transition import TransitionKind
from torpor_autoscaler.core import reasons
from torpor_autoscaler.deadlines import Deadlines
from torpor_autoscaler.lifecycle.chain import Trace, completed
from torpor_autoscaler.lifecycle.limits import Limits, backoff_s
from torpor_autoscaler.lifecycle.world import World
from torpor_autoscaler.settings import from_arguments

ARGUMENTS = ["--cluster", "/c.sock", "--listen", "/a.sock", "--warm", "2"]


def test_laps_leave_no_gap() -> None:
    watch = Trace(TransitionKind.RESUME, 10.0)
    watch.lap("claim", 10.002)
    watch.lap("tell", 10.030, (Step(name="start", where="postgres", ms=25.0),))
    assert [(step.name, step.ms) for step in watch.chain.steps] == [
        ("claim", 2.0),
        ("start", 25.0),
        ("tell", 3.0),
    ]
    assert watch.chain.total_ms == pytest.approx(30.0)


def test_a_lap_of_nothing_is_left_out() -> None:
    watch = Trace(TransitionKind.RESUME, 10.0)
    watch.lap("queue", 10.0)
    watch.lap("odd", 10.01, (Step(name="start", where="postgres", ms=25.0),))
    assert [step.name for step in watch.chain.steps] == ["start"]


def test_a_proxys_rest_is_added_and_its_whole_is_taken() -> None:
    first, second = Step(name="a", where="autoscaler", ms=1), Step(name="b", where="proxy", ms=2)
    ours = Chain().then(first)
    assert completed(ours, Chain().then(second)).total_ms == 3
    assert completed(ours, Chain().then(first, second)).total_ms == 3
    assert completed(Chain(), Chain().then(second)).total_ms == 2


def test_a_chain_never_has_more_steps_than_it_may() -> None:
    step = Step(name="a", where="proxy", ms=1)
    other = Step(name="b", where="proxy", ms=1)
    whole = completed(Chain().then(*[step] * 20), Chain().then(*[other] * 30))
    assert len(whole.steps) <= 32


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0s"), (59, "59s"), (75, "1m15s"), (200, "3m"), (3700, "1h1m"), (90000, "1d1h")],
)
def test_durations_as_a_person_says_them(seconds: float, words: str) -> None:
    assert reasons.duration(seconds) == words


def test_what_a_session_has_just_begun_is_not_written_to_the_resource() -> None:
    report = SessionReport(
        session=1, user="app", application="", client="::1", reason="is running", since_s=2.9
    )
    assert reasons.pinned(report).is_passing
    assert not reasons.pinned(report.model_copy(update={"since_s": 3.0})).is_passing


def test_pauses_double_up_to_a_bound() -> None:
    assert [backoff_s(n, 1.0, 6.0) for n in (0, 1, 2, 3, 4, 10**6)] == [1, 1, 2, 4, 6, 6]


async def test_only_the_latest_deadline_of_a_name_is_reached() -> None:
    reached = list[str]()
    deadlines = Deadlines(time.monotonic, reached.append)
    now = time.monotonic()
    deadlines.set("a", now + 0.01)
    deadlines.set("b", now + 0.02)
    deadlines.set("a", now + 60.0)
    deadlines.set("c", now + 0.005)
    deadlines.set("c", None)
    async with asyncio.timeout(5.0):
        while "b" not in reached:
            await asyncio.sleep(0.005)
    assert reached == ["b"]
    deadlines.set("a", now)
    async with asyncio.timeout(5.0):
        while "a" not in reached:
            await asyncio.sleep(0.005)
    deadlines.close()


def test_settings() -> None:
    found = from_arguments([*ARGUMENTS, "--advertise", "[::1]:5432"])
    assert found.cluster == Path("/c.sock") and found.warm == 2
    assert found.endpoint == Endpoint(host="::1", port=5432)
    assert from_arguments([*ARGUMENTS, "--advertise", "a:1", "--waiting-price", "0"]) != found


async def test_moments_that_are_replaced_again_and_again_take_no_room() -> None:
    reached = asyncio.Queue[str]()
    now = 1000.0
    deadlines = Deadlines(lambda: now, reached.put_nowait)
    for second in range(10_000):
        deadlines.set("far", now + 86_400.0 + second)
        deadlines.set("never", now + 90_000.0 + second)
        deadlines.set("never", None)
    assert len(deadlines._heap) < 2_500
    deadlines.set("near", now)
    async with asyncio.timeout(10.0):
        assert await reached.get() == "near"
    deadlines.close()


async def test_a_defect_makes_nobody_else_miss_his_moment() -> None:
    reached: list[str] = []

    def reach(name: str) -> None:
        reached.append(name)
        if name == "bad":
            raise RuntimeError("a defect")

    deadlines = Deadlines(time.monotonic, reach)
    now = time.monotonic()
    for name, moment in (("bad", now), ("good", now), ("later", now + 0.01)):
        deadlines.set(name, moment)
    async with asyncio.timeout(5.0):
        while len(reached) < 3:
            await asyncio.sleep(0.005)
    assert reached == ["bad", "good", "later"]


@pytest.mark.parametrize(
    ("advertised", "database", "host"),
    [
        ("127.0.0.1", "shop", "127.0.0.1"),
        ("*.svc", "shop", "shop.default.svc"),
        ("*.db.example.com", "shop.team", "shop.team.db.example.com"),
    ],
)
def test_where_clients_of_a_database_connect(advertised: str, database: str, host: str) -> None:
    world = World(Limits(), warm=0, endpoint=Endpoint(host=advertised, port=5432), now=0.0)
    assert world.endpoint_of(database) == Endpoint(host=host, port=5432)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--advertise", "nowhere"], "'nowhere' is not HOST:PORT"),
        (["--advertise", "a:0"], "'a:0' is not HOST:PORT"),
        (["--advertise", "a:1", "--warm", "-1"], "'-1' is not a number from 0 to 1000"),
        (["--advertise", "a:1", "--warm-max", "1"], "--warm-max 1 is less than --warm 2"),
        (["--advertise", "a:1", "--wake-deadline", "0"], "'0' is not a number of seconds"),
        (["--advertise", "a:1", "--waiting-price", "nan"], "'nan' is not a number of CU-seconds"),
        (["--advertise", "a:1", "--waiting-price", "2e6"], "from 0 to 1e+06"),
    ],
)
def test_settings_that_can_not_be(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        from_arguments(ARGUMENTS + arguments)
    assert words in capsys.readouterr().err
