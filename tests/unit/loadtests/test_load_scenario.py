"""Every scenario gives each client a seat, in any size that is allowed."""

from __future__ import annotations

from collections import Counter

import pytest

from load.course import Phase, length_s
from load.scenario import CLIENTS_MAX, Crowd, On, Part, Scenario
from load.scenarios import BURST, HERD, SCANNER, SCENARIOS

QUIET = (Phase("quiet", 10.0),)


def scenario(*crowds: Crowd, databases: int = 3, zones: int = 1) -> Scenario:
    return Scenario("one", "Why?", databases, crowds, 10.0, (), zones=zones)


def test_seats_are_numbered_and_neighbours_use_different_databases() -> None:
    seats = scenario(Crowd(Part.HELD, 2, QUIET), Crowd(Part.FRESH, 1, QUIET, On.FIRST)).seats()
    assert [seat.number for seat in seats] == list(range(7))
    assert [seat.database for seat in seats] == [0, 1, 2, 0, 1, 2, 0]


def test_a_crowd_is_of_the_databases_that_it_names() -> None:
    seats = SCANNER.seats()
    databases = {part: {s.database for s in seats if s.part is part} for part in Part}
    assert databases[Part.SCANNER] == set(range(1, SCANNER.databases))


def test_scanned_are_those_at_which_strangers_alone_knock_by_whatever_name() -> None:
    """Where it has fewer databases, one that is used as well may wake for its own clients."""
    assert SCANNER.scanned(["a", "b", "c", "d", "e", "f"]) == {"b", "c", "d", "e", "f"}
    assert SCANNER.scanned(["a", "b"]) == {"b"}
    assert SCANNER.scanned(["a"]) == frozenset()
    assert BURST.scanned(["a", "b"]) == frozenset()


def test_days_begin_at_different_times() -> None:
    seats = scenario(Crowd(Part.HELD, 1, QUIET), databases=4, zones=2).seats()
    assert [seat.shift_s for seat in seats] == [0.0, 5.0, 0.0, 5.0]


@pytest.mark.parametrize("each", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_each_is_what_it_says_in_every_size(each: Scenario) -> None:
    assert each.objectives and each.question
    for factor in (0.5, 1.0, 1.5):
        sized = each.sized(factor)
        assert sized.seconds >= each.seconds
        seats = sized.seats()
        assert len(seats) == sized.clients
        assert Counter(seat.database for seat in seats).keys() == set(range(sized.databases))
        # All clients of a run end with it.
        for seat in seats[:: len(seats) // 20 + 1]:
            assert length_s(seat.course) == pytest.approx(sized.seconds)


def test_a_factor_multiplies_what_grows() -> None:
    assert len(HERD.sized(0.5).seats()) == 5000
    assert SCANNER.sized(2).databases == 2 * SCANNER.databases


@pytest.mark.parametrize(
    ("factor", "seconds", "said"),
    [
        (0, None, "factor of 0"),
        (100.0, None, str(CLIENTS_MAX)),
        (1.0, 1.0, "minutes"),
        (1.0, 1e6, "minutes"),
    ],
)
def test_what_is_out_of_bounds_is_refused(factor: float, seconds: float | None, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        HERD.sized(factor, seconds)
