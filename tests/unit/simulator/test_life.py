from __future__ import annotations

import pytest

from torpor_simulator.life import CU_MAX, of_uses, size_for, unused


def test_gaps_lie_between_uses() -> None:
    life = of_uses([(10.0, 5.0), (20.0, 1.0), (121.0, 2.0)], 200.0, queries=3)
    assert (life.lead_s, life.busy_s, life.tail_s) == (10.0, 8.0, 77.0)
    assert life.stretches[0].gaps == [5.0, 100.0]
    assert life.stretches[0].ends == [20.0, 121.0]


def test_a_gap_of_a_second_is_part_of_a_use() -> None:
    life = of_uses([(0.0, 1.0), (2.0, 1.0), (4.5, 1.0)], 10.0, queries=3)
    assert life.stretches[0].gaps == [1.5]
    assert life.busy_s == 4.0


def test_uses_may_overlap() -> None:
    life = of_uses([(0.0, 50.0), (1.0, 2.0), (60.0, 1.0)], 100.0, queries=3)
    assert life.stretches[0].gaps == [10.0]


def test_who_is_never_used_is_idle_all_the_time() -> None:
    life = of_uses([], 100.0, queries=0)
    assert life == unused(100.0, []) and not life.is_used


@pytest.mark.parametrize(
    ("load", "cu"), [(0.0, 0.25), (0.2, 0.25), (0.5, 0.75), (0.9, 1.0), (4.5, 5.0), (99.0, CU_MAX)]
)
def test_the_size_follows_neons_rule(load: float, cu: float) -> None:
    assert size_for(load) == cu


def test_an_absurd_load_is_refused() -> None:
    with pytest.raises(ValueError, match="load -1"):
        size_for(-1)
