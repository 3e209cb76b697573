"""Places at a compute: never more than there are, in turn, and none is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core.places import UNLIMITED, Places


def places(limit: int, *who: int) -> Places:
    """With those in it, or waiting."""
    made = Places()
    made.limit = limit
    for one in who:
        made.ask(one)
    return made


def test_first_come_first_served() -> None:
    room = places(2, 5, 3, 4, 1)
    assert list(room.admitted()) == [5, 3] and room.missing == 2
    room.free(3)
    assert list(room.admitted()) == [4]
    room.free(5)
    room.free(4)
    assert list(room.admitted()) == [1] and room.waiting == 0


def test_who_gives_up_has_no_turn() -> None:
    room = places(1, 1, 2, 3)
    list(room.admitted())
    room.give_up(2)
    room.give_up(2)
    room.free(1)
    assert list(room.admitted()) == [3]


def test_those_that_leave_count_as_room_to_come() -> None:
    room = places(2, 1, 2, 3, 4)
    list(room.admitted())
    room.leaves(1)
    room.leaves(1)
    room.leaves(99)
    assert room.missing == 1
    room.leaves(2)
    assert room.missing == 0
    room.stays(2)
    assert room.missing == 1


def test_nobody_has_two_and_keeps_its_turn_while_its_old_one_ends() -> None:
    room = places(3, 1, 2)
    list(room.admitted())
    room.leaves(1)
    room.ask(1)
    room.ask(3)
    room.ask(4)
    assert list(room.admitted()) == [3]
    room.free(1)
    assert list(room.admitted()) == [1]


def test_where_no_limit_is_known_nobody_waits_but_for_itself() -> None:
    room = places(UNLIMITED, *range(100))
    assert len(list(room.admitted())) == 100
    room.ask(7)
    assert list(room.admitted()) == [] and room.missing == 0


def test_another_compute_has_all_places_free() -> None:
    room = places(1, 1, 2)
    list(room.admitted())
    room.leaves(1)
    room.begin()
    assert list(room.admitted()) == [2] and len(room) == 1
    room.ask(3)
    assert room.missing == 1


WHO = st.integers(1, 8)
STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "give up", "free", "leaves", "stays", "begin"]), WHO),
    max_size=60,
)


@given(limit=st.integers(1, 4), steps=STEPS)
def test_whatever_happens(limit: int, steps: list[tuple[str, int]]) -> None:
    """Against a list and a set: the same ones are admitted, in the same order."""
    room, queue, inside = places(limit), list[int](), set[int]()
    for step, who in steps:
        if step == "ask" and who not in queue:
            room.ask(who)
            queue.append(who)
        elif step == "give up":
            room.give_up(who)
            queue = [each for each in queue if each != who]
        elif step == "free":
            room.free(who)
            inside.discard(who)
        elif step == "leaves":
            room.leaves(who)
        elif step == "stays":
            room.stays(who)
        elif step == "begin":
            room.begin()
            inside.clear()
        expected = [each for each in queue if each not in inside][: limit - len(inside)]
        assert list(room.admitted()) == expected
        queue = [each for each in queue if each not in expected]
        inside |= set(expected)
        assert (len(room), room.waiting) == (len(inside), len(queue)) and len(room) <= limit
        # As many as are missing leave: then all who wait get in.
        assert room.missing <= len(queue) + len(inside) - limit
