"""A few conversations with a fixed seed, and that a difference would be seen. More: `make fuzz`."""

from __future__ import annotations

import pytest

from fuzz import words
from fuzz.conversation import Conversation, Turn
from fuzz.generate import conversation
from fuzz.hold import BACKEND, compare, proves_parking
from fuzz.report import report
from fuzz.sides import World

SEEDS = range(1, 9)


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_can_tell_the_sides_apart(world: World, seed: int) -> None:
    held = conversation(seed)
    if found := compare(world, held):
        pytest.fail(report(held, found))


def test_a_difference_is_found(world: World) -> None:
    parked = Conversation((Turn(0, (words.query("select 2"),)), Turn(1, (BACKEND,))))
    found = compare(world, parked)
    assert found is not None
    assert found.who == 1
    assert found.straight[found.at][0] == b"D"


def test_each_safe_point_parks_the_session(world: World) -> None:
    proves_parking(world)
