"""An objective is missed when what it is about goes wrong, and when nothing was shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from load import heard, judge
from load.course import Phase
from load.judge import LET_IN, Side
from load.samples import Sample, State, parsed, states
from load.scenario import Crowd, Measure, Objective, On, Part, Scenario

STARTED = 1000.0

SCENARIO = Scenario(
    name="any",
    question="",
    databases=2,
    crowds=(Crowd(Part.SCANNER, 1, (Phase("scan", 10.0),), On.OTHERS),),
    seconds=10.0,
    objectives=(),
    idle_timeout_s=2.0,
)


def sample(
    at: float,
    waited_s: float,
    *,
    age_s: float = 100.0,
    database: str = "a",
    started: float = STARTED,
    part: Part = Part.HELD,
    error: str = "",
    note: str = "",
    client: int = 1,
) -> Sample:
    return Sample(at, database, part, waited_s, client, started, age_s, error, note)


def side(*samples: Sample, **told: object) -> Side:
    return judge.side("any", samples, SCENARIO, **told)


def value(measure: Measure, *samples: Sample, **told: object) -> float | None:
    found = judge.verdict(Objective(measure, 0), side(*samples, **told), side())
    return found.value


def woken(at: float, waited_s: float, **told: object) -> Sample:
    """It was answered by a Postgres that began after it was asked."""
    return sample(at, waited_s, age_s=waited_s / 2, **told)  # type: ignore[arg-type]


def test_samples_come_back_from_their_lines() -> None:
    given = [sample(1.0, 0.5, error="no"), sample(2.0, 0.1, note="said 3")]
    assert parsed([*(one.line() for one in given), ""]) == given


def test_the_first_that_was_before_its_postgres_woke_it() -> None:
    given = [
        woken(5.2, 0.3),
        woken(5.0, 0.5),
        sample(6.0, 0.001, age_s=0.9),
        woken(5.1, 0.4, database="b"),
        woken(9.0, 0.1, started=STARTED + 4),
        sample(9.0, 1.0, age_s=0.5, error="refused"),
    ]
    assert states(given) == [
        *(State.WAKING, State.ASLEEP, State.AWAKE, State.ASLEEP, State.ASLEEP, State.AWAKE)
    ]


def test_an_error_in_a_held_session_counts_and_a_strangers_does_not() -> None:
    given = [
        sample(1, 0.1, error="lost"),
        sample(1, 0.1, part=Part.FRESH, error="refused"),
        sample(1, 0.1, part=Part.SCANNER, error="reset"),
    ]
    assert value(Measure.HELD_ERRORS, *given) == 1
    assert value(Measure.ERRORS, *given) == 2


@pytest.mark.parametrize("measure", [Measure.HELD_ERRORS, Measure.ERRORS, Measure.WAKE_P99])
def test_where_nothing_was_asked_nothing_is_met(measure: Measure) -> None:
    assert not judge.verdict(Objective(measure, 0), side(), side()).is_met


def test_a_ratio_is_to_the_same_load_elsewhere() -> None:
    objective = Objective(Measure.WAKE_P99, 10, "ratio")
    ours = side(woken(1, 0.3), sample(2, 0.001))
    found = judge.verdict(objective, ours, side(sample(1, 0.02)))
    assert found.value == pytest.approx(15) and not found.is_met
    assert judge.verdict(objective, ours, side(sample(1, 0.05))).is_met
    assert not judge.verdict(objective, ours, side()).is_met


def test_at_least_is_not_at_most() -> None:
    given = side(*(woken(at, 0.1, started=STARTED + at) for at in range(3)))
    assert judge.verdict(Objective(Measure.WAKES, 3, is_least=True), given, given).is_met
    assert not judge.verdict(Objective(Measure.WAKES, 4, is_least=True), given, given).is_met
    assert not judge.verdict(Objective(Measure.WAKES, 2), given, given).is_met


def test_wakes_are_counted_for_each_database_and_those_without_one_count_too() -> None:
    assert value(Measure.WAKES_EACH, woken(1, 0.1), sample(2, 0.1, database="b")) == 0.5
    assert value(Measure.WAKES_EACH) is None


def test_a_wake_right_after_a_use_is_needless() -> None:
    used = sample(1.0, 0.5)
    assert value(Measure.NEEDLESS_WAKES, used, woken(3.0, 0.1)) == 1
    assert value(Measure.NEEDLESS_WAKES, used, woken(3.6, 0.1)) == 0
    assert value(Measure.NEEDLESS_WAKES, used, woken(3.0, 0.1, database="b")) == 0


def test_fairness_is_one_where_all_wait_alike() -> None:
    alike = [woken(1, 0.2, database=name) for name in "abcd"]
    assert value(Measure.FAIRNESS, *alike) == pytest.approx(1.0)
    assert judge.jain([1.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)


def test_who_scans_may_wake_nobody() -> None:
    told = {"load-000": 2, "load-001": 1}
    scanned = frozenset({"load-001", "load-002"})
    assert value(Measure.SCANNED_WAKES, sample(1, 1), wakes=told, scanned=scanned) == 1
    assert value(Measure.SCANNED_WAKES, sample(1, 1), scanned=scanned) is None
    assert value(Measure.SCANNED_WAKES, sample(1, 1), wakes=told) is None, "nothing was shown"
    stranger = sample(1, 0.1, part=Part.SCANNER, note=LET_IN)
    assert value(Measure.REFUSED, stranger, sample(1, 1)) == 1


def test_what_is_answered_when_the_load_is_over_is_late() -> None:
    assert value(Measure.ANSWERED, sample(1, 0.1), sample(9.5, 0.6), sample(2, 0, error="x")) == 1
    assert value(Measure.PER_SECOND, sample(1, 0.1), sample(1.0, 2.0)) == pytest.approx(1.0)


def said(number: int, **told: object) -> Sample:
    return sample(1, 0.1, part=Part.NOTIFIER, note=heard.said_note(number), client=8, **told)  # type: ignore[arg-type]


def heard_by(client: int, *numbers: int) -> list[Sample]:
    notes = ["", *(heard.heard_note(heard.payload(8, number)) for number in numbers)]
    return [sample(1, 0, part=Part.LISTENER, note=note, client=client) for note in notes]


@pytest.mark.parametrize(
    ("heard_numbers", "wrong"),
    [((1, 2, 3), 0), ((1, 3), 1), ((), 3), ((1, 2, 2, 3), 1), ((2, 1, 3), 1)],
)
def test_each_notification_is_heard_once_and_in_order(
    heard_numbers: Sequence[int], wrong: int
) -> None:
    given = [said(1), said(2), said(3), *heard_by(5, 1, 2, 3), *heard_by(6, *heard_numbers)]
    assert heard.misheard(given) == wrong


def test_one_that_failed_may_be_heard_or_not() -> None:
    for numbers in ((1,), (1, 2)):
        assert heard.misheard([said(1), said(2, error="lost"), *heard_by(5, *numbers)]) == 0


def test_where_nobody_listens_nothing_was_shown() -> None:
    assert heard.misheard([said(1)]) is None
