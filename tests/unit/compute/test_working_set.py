"""The estimate of a working set, from looks at a Postgres that is made up."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_compute.core.working_set import (
    LOOK_SECONDS_MIN,
    PAGES_FOLLOWED,
    PAGES_REMEMBERED_MAX,
    WINDOWS_S,
    SeenPage,
    SharedBuffers,
    WorkingSet,
)

BUFFERS = SharedBuffers(1 << 14, 8192)

PAGE_BYTES = BUFFERS.one_in * 8192
"""For each page that is found touched."""


def page(block: int, usage: int = 1, *, dirty: bool = False, pinned: bool = False) -> SeenPage:
    return SeenPage(block, usage, dirty, pinned)


def after_looks(*looks: list[SeenPage], every_s: float = 10.0) -> WorkingSet:
    working_set = WorkingSet(BUFFERS)
    for number, pages in enumerate(looks):
        working_set.looked(pages, number * every_s)
    return working_set


def test_about_a_thousand_pages_are_followed_whatever_the_size() -> None:
    for mib in (1, 32, 128, 512, 1024):
        buffers = SharedBuffers(mib << 7, 8192)
        assert buffers.one_in & (buffers.one_in - 1) == 0
        assert buffers.count // buffers.one_in in range(128, 2 * PAGES_FOLLOWED)


def test_looks_into_larger_buffers_are_further_apart() -> None:
    assert SharedBuffers(1 << 12, 8192).look_every_s == LOOK_SECONDS_MIN
    assert SharedBuffers(1 << 17, 8192).look_every_s == 8.0


def test_a_look_is_due_at_once_and_then_when_its_time_has_come() -> None:
    working_set = WorkingSet(BUFFERS)
    assert working_set.is_due(7.0)
    working_set.looked([], 7.0)
    assert not working_set.is_due(7.0 + LOOK_SECONDS_MIN - 0.1)
    assert working_set.is_due(7.0 + LOOK_SECONDS_MIN)


def test_a_page_that_is_back_was_touched() -> None:
    assert after_looks([page(1), page(2)], [page(1)]).bytes_by_window() == {10: PAGE_BYTES}


def test_what_was_there_before_the_first_look_counts_for_nothing() -> None:
    assert after_looks([page(1), page(2)], []).bytes_by_window() == {10: 0}


def test_a_window_is_told_once_it_has_been_watched() -> None:
    looks = [[page(1)]] * 31
    assert after_looks(looks[0]).bytes_by_window() == {}
    assert set(after_looks(*looks[:6]).bytes_by_window()) == {10}
    assert set(after_looks(*looks[:7]).bytes_by_window()) == {10, 60}
    assert set(after_looks(*looks).bytes_by_window()) == set(WINDOWS_S)


def test_each_window_has_what_was_touched_in_it() -> None:
    working_set = after_looks([], [page(1)], *[[]] * 5, [page(2)])
    assert working_set.bytes_by_window() == {10: PAGE_BYTES, 60: PAGE_BYTES}
    working_set = after_looks([], *[[]] * 5, [page(1)], [page(2)])
    assert working_set.bytes_by_window() == {10: PAGE_BYTES, 60: 2 * PAGE_BYTES}


@pytest.mark.parametrize(
    ("before", "now", "is_touched"),
    [
        (page(1, 2, pinned=True), page(1, 2), False),
        (page(1, 5, pinned=True), page(1, 5), True),
        (page(1, 2, dirty=True), page(1, 2, dirty=True), False),
        (page(1, 2, dirty=True), page(1, 1, dirty=True), False),
        (page(1, 2, dirty=True), page(1, 3, dirty=True), True),
        (page(1, 2, dirty=True), page(1, 2, dirty=True, pinned=True), True),
        (page(1, 5, dirty=True), page(1, 5, dirty=True), True),
        (page(1, 5, dirty=True), page(1, 4), False),
        (page(1, 3, pinned=True), page(1, 3, dirty=True), True),
    ],
)
def test_of_a_page_that_stays_its_use_tells(
    before: SeenPage, now: SeenPage, is_touched: bool
) -> None:
    assert after_looks([before], [now]).bytes_by_window() == {10: is_touched * PAGE_BYTES}


def test_a_look_that_lies_partly_before_the_window_counts_in_part() -> None:
    looks = [[page(number * 100 + block) for block in range(8)] for number in range(8)]
    found = after_looks(*looks, every_s=4.0).bytes_by_window()
    assert found == {10: 2.5 * 8 * PAGE_BYTES}


def test_what_is_remembered_is_bounded() -> None:
    working_set = WorkingSet(BUFFERS)
    for number in range(100):
        pages = [page(block) for block in range(number * 1000, number * 1000 + 1000)]
        working_set.looked(pages, float(number))
    assert working_set.bytes_by_window()[60] == PAGES_REMEMBERED_MAX * PAGE_BYTES


def test_what_is_idle_is_forgotten() -> None:
    working_set = after_looks([], [page(block) for block in range(500)], *[[]] * 31)
    assert working_set.bytes_by_window() == dict.fromkeys(WINDOWS_S, 0)


@given(st.integers(0, 1 << 32), st.integers(200, 1000))
def test_a_working_set_within_shared_buffers_is_found_exactly(seed: int, followed: int) -> None:
    """Of the pages that are followed; what the choice of them adds is the sampling error."""
    draw = random.Random(seed)
    used = range(followed)
    looks = [[page(block) for block in used] for _ in range(8)]
    for pages in looks:
        draw.shuffle(pages)
    found = after_looks(*looks).bytes_by_window()
    assert found == {10: followed * PAGE_BYTES, 60: followed * PAGE_BYTES}
