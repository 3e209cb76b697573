"""How each transition is told once it has come to its end."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.chain import Chain, Step
from torpor_api.failures import Busy, StartFailed, Unavailable
from torpor_api.transition import Span, Transition, TransitionKind
from torpor_autoscaler.lifecycle import facts, outcomes
from torpor_autoscaler.lifecycle.actions import Went
from torpor_autoscaler.lifecycle.chain import TRACKS_MAX, Seen, Trace, Track, seen
from torpor_autoscaler.lifecycle.times import exact_timestamp, timestamp
from unit.autoscaler.moving import begun
from unit.autoscaler.story import Story, awake

START = Step(name="start of postgres", where="postgres", ms=20.0)


def told(story: Story) -> list[Transition]:
    found = [effect.transition for effect in story.effects if isinstance(effect, Went)]
    story.effects.clear()
    return found


def idle() -> Story:
    story = awake()
    story.at(106.0).sample(idle_s=6.0).rest()
    story.at(120.0)
    story.effects.clear()
    return story.sample(idle_s=20.0)


def rows(spans: tuple[Span, ...]) -> list[tuple[int, str, float, float, float]]:
    return [(s.depth, s.name, s.begin_ms, s.ms, s.slack_ms) for s in spans]


# --- which are told -------------------------------------------------------------------------------


def test_a_resume_is_told_when_the_first_row_was_seen() -> None:
    story = Story()
    story.wake()
    story.rest()
    assert told(story) == []
    rest = Chain().then(Step(name="first row", where="proxy", ms=2.0))
    story.fact(facts.resume_seen, story.database.status.epoch, rest)
    (resume,) = told(story)
    assert (resume.kind, resume.epoch, resume.compute) == (TransitionKind.RESUME, 1, "c1")
    assert resume.database == "shop" and resume.cause and not resume.failure
    assert resume.total_ms == story.database.last_resume.total_ms  # type: ignore[union-attr]
    assert resume.spans[-1].name == "first row"


def test_a_start_that_fails_is_told_with_the_reason() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.fail(StartFailed("no space left"))
    failed, *_ = told(story)
    assert (failed.kind, failed.failure) == (TransitionKind.RESUME, "no space left")


def test_a_suspend_is_told_when_it_is_recorded() -> None:
    story = idle()
    story.until(m.StoreLoginFacts)
    assert told(story) == []
    story.rest()
    (suspend,) = told(story)
    assert (suspend.kind, suspend.epoch, suspend.failure) == (TransitionKind.SUSPEND, 1, "")
    assert suspend.cause == "nobody has used it for 20s"


def test_a_suspend_that_is_called_off_is_told_with_the_reason() -> None:
    story = idle()
    story.until(m.CloseGate)
    story.fail(Busy("a transaction is open"))
    story.rest()
    (suspend,) = told(story)
    assert (suspend.kind, suspend.failure) == (TransitionKind.SUSPEND, "a transaction is open")


def test_a_suspend_that_a_wake_overtakes_is_told_first() -> None:
    story = idle()
    story.until(m.StoreLoginFacts)
    story.wake()
    story.rest()
    suspend, *others = told(story)
    assert suspend.kind is TransitionKind.SUSPEND and others == []


def test_a_switchover_is_one_transition_and_no_resume() -> None:
    story = begun()
    story.rest()
    *before, move = told(story)
    assert (move.kind, move.epoch, move.compute) == (TransitionKind.SWITCHOVER, 2, "c2")
    assert {each.epoch for each in before} <= {1}
    assert move.cause == "somebody asked for it" and not move.failure


def test_a_switchover_that_is_called_off_says_so() -> None:
    story = begun()
    story.until(m.CloseGate)
    story.fail(Busy("a session is pinned"))
    story.rest()
    (move,) = told(story)
    assert (move.kind, move.failure) == (TransitionKind.SWITCHOVER, "a session is pinned")


def test_a_resume_after_a_loss_is_a_failover_and_counts_from_the_loss() -> None:
    story = awake()
    story.sample(sessions=1, attached=1)
    lost = m.PostgresLost(database="shop", epoch=1, reason="killed", restarting=False)
    story.at(130.0).fact(facts.postgres_lost, lost, 130.0)
    story.until(m.StartCompute)
    story.at(132.0).rest()
    story.effects.clear()
    story.fact(facts.resume_seen, 2, Chain())
    (failover,) = told(story)
    assert (failover.kind, failover.total_ms) == (TransitionKind.FAILOVER, 2000.0)


def test_a_wake_long_after_a_loss_is_a_resume() -> None:
    story = awake()
    lost = m.PostgresLost(database="shop", epoch=1, reason="killed", restarting=False)
    story.at(130.0).fact(facts.postgres_lost, lost, 130.0)
    story.rest()
    story.at(500.0).wake()
    story.rest()
    story.effects.clear()
    story.fact(facts.resume_seen, 2, Chain())
    assert [each.kind for each in told(story)] == [TransitionKind.RESUME]


# --- what they are made of ------------------------------------------------------------------------


def test_what_was_asked_within_a_lap_is_a_part_of_it() -> None:
    trace = Trace(TransitionKind.RESUME, 10.0)
    trace.lap("locate storage", 10.004)
    trace.lap("tell the agent", 10.034, (START,))
    spans = trace.spans(
        [
            Seen("locate storage", "cluster", 10.0, 10.004),
            Seen("fetch verifiers", "cluster", 10.0, 10.001),
            Seen("start the compute", "agent", 10.004, 10.034, (Track("", (START,)),)),
        ],
        [Step(name="first row", where="proxy", ms=3.0)],
    )
    assert rows(spans) == [
        (0, "locate storage", 0.0, 4.0, 0.0),
        (1, "locate storage", 0.0, 4.0, 0.0),
        (1, "fetch verifiers", 0.0, 1.0, 3.0),
        (0, "tell the agent", 4.0, 30.0, 0.0),
        (1, "start the compute", 4.0, 30.0, 0.0),
        (2, "start of postgres", 9.0, 20.0, 0.0),  # In the middle: of its way nothing is known.
        (0, "first row", 34.0, 3.0, 0.0),
    ]


def test_of_proxies_that_are_asked_at_once_the_slowest_is_critical() -> None:
    trace = Trace(TransitionKind.SUSPEND, 0.0)
    trace.lap("park every session", 0.010)
    tracks = [Track(f"p{ms}", (Step(name="park", where="proxy", ms=float(ms)),)) for ms in (2, 8)]
    spans = trace.spans([Seen("close the gates", "proxy", 0.0, 0.010, tuple(tracks))])
    assert {s.where: s.slack_ms for s in spans if s.depth == 2} == {"p8": 0.0, "p2": 6.0}


def test_a_fleet_of_proxies_is_told_by_its_slowest() -> None:
    trace = Trace(TransitionKind.SUSPEND, 0.0)
    trace.lap("park every session", 1.0)
    steps = [(Step(name="park", where="proxy", ms=float(ms)),) for ms in range(1, 41)]
    tracks = tuple(Track(f"p{index}", each) for index, each in enumerate(steps))
    spans = trace.spans([Seen("close the gates", "proxy", 0.0, 1.0, tracks)])
    assert sum(s.depth == 2 for s in spans) == TRACKS_MAX
    assert max(s.ms for s in spans if s.depth == 2) == 40.0


def test_what_was_asked_before_is_no_part_of_it() -> None:
    trace = Trace(TransitionKind.RESUME, 10.0)
    trace.lap("claim", 10.002)
    assert len(trace.spans([Seen("write the record", "cluster", 9.9, 9.95)])) == 1


@pytest.mark.parametrize(
    ("answer", "name", "whose"),
    [
        (m.Done(), "close the gates", []),
        (Unavailable("gone"), "close the gates: Unavailable", []),
        ({"p1": m.GateClosed(parked=3, steps=(START,)), "p2": m.Done()}, "close the gates", ["p1"]),
    ],
)
def test_an_answer_tells_what_it_was_made_of(answer: object, name: str, whose: list[str]) -> None:
    request = m.CloseGate(name="shop", epoch=1, hold_s=1.0)
    one = seen(request, 1.0, 2.0, answer)
    assert (one.name, one.where, [track.whose for track in one.tracks]) == (name, "proxy", whose)


# --- when it began --------------------------------------------------------------------------------


def test_the_record_says_when_a_wake_was_asked_for() -> None:
    story = Story()
    story.world.wall_s = 1_800_000_000.0
    story.wake()
    story.until(m.StartCompute)
    story.at(story.world.now + 20.0).rest()
    resume = story.database.last_resume
    assert resume is not None and resume.total_ms == pytest.approx(20_000.0)
    assert resume.at == timestamp(1_800_000_000.0)
    told = outcomes.so_far(story.database)
    assert told is not None and told.at == exact_timestamp(1_800_000_000.0) and told.is_unfinished


def test_the_record_says_when_a_switchover_began() -> None:
    story = begun()
    story.world.wall_s = 1_800_000_000.0
    story.until(m.StartCompute)
    story.at(story.world.now + 20.0).rest()
    move = story.database.last_switchover
    assert move is not None and move.pause_ms == pytest.approx(20_000.0)
    assert move.at == timestamp(1_800_000_000.0)
