"""The list of pages that outlives a sleep: what is kept, how it is read, how it comes back."""

from __future__ import annotations

import contextlib
import random
import struct
import zlib
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_compute.core import kept_pages
from torpor_compute.core.kept_pages import (
    IDLE_WAKES_MAX,
    PAGES_MAX,
    Batch,
    File,
    Found,
    Pace,
    Run,
    aged,
    by_database,
    next_batch,
    packed,
    page_count,
    put_back,
    unpacked,
)

TABLE, INDEX = File(5, 1663, 16384, 0), File(5, 1663, 16390, 0)
OTHER, SHARED = File(7, 1663, 20000, 0), File(0, 1664, 1262, 0)


def pages_of(runs: Iterable[Run]) -> dict[tuple[File, int], int]:
    """Each page's idle wakes."""
    return {(run.file, run.first + at): run.idle_wakes for run in runs for at in range(run.count)}


# --- what is kept ------------------------------------------------------------------------------


def test_pages_one_behind_the_other_are_one_run() -> None:
    found = [Found(TABLE, True, (0, 1, 2, 5, 7, 8)), Found(INDEX, False, (3,))]
    assert aged(found, ()) == (
        Run(TABLE, 0, 3, 0),
        Run(TABLE, 5, 1, 0),
        Run(TABLE, 7, 2, 0),
        Run(INDEX, 3, 1, 0),
    )


def test_what_wakes_have_brought_back_for_nobody_is_left_out_in_the_end() -> None:
    runs = aged([Found(TABLE, True, tuple(range(10)))], ())
    for wakes in range(1, IDLE_WAKES_MAX):
        runs = aged([Found(TABLE, True, (0, 1)), Found(TABLE, False, tuple(range(2, 10)))], runs)
        assert pages_of(runs) == {(TABLE, block): 0 if block < 2 else wakes for block in range(10)}
    runs = aged([Found(TABLE, True, (0, 1)), Found(TABLE, False, tuple(range(2, 10)))], runs)
    assert pages_of(runs) == {(TABLE, 0): 0, (TABLE, 1): 0}


def test_pages_that_could_not_be_read_stay_as_they_were_as_far_as_there_is_room() -> None:
    before = [Run(TABLE, 0, 4, 2), Run(OTHER, 0, 2, 1)]
    found = [Found(TABLE, True, (1,)), Found(INDEX, False, (3,))]
    runs = aged(found, before, unread={TABLE.database})
    assert pages_of(runs) == {
        (TABLE, 1): 0,
        (INDEX, 3): 0,
        **{(TABLE, block): 2 for block in (0, 2, 3)},
    }
    full = Found(INDEX, True, tuple(range(PAGES_MAX - 2)))
    assert pages_of(aged([full], before, unread={TABLE.database, OTHER.database})).keys() == {
        *((INDEX, block) for block in full.blocks),
        *((TABLE, block) for block in (0, 1)),
    }


def test_what_is_used_again_begins_anew() -> None:
    runs = (Run(TABLE, 0, 4, IDLE_WAKES_MAX - 1),)
    assert aged([Found(TABLE, True, (0, 1, 2, 3))], runs) == (Run(TABLE, 0, 4, 0),)


def test_a_page_of_a_rewritten_table_is_another() -> None:
    runs = (Run(TABLE, 0, 4, IDLE_WAKES_MAX - 1),)
    assert aged([Found(OTHER, False, (0, 1))], runs) == (Run(OTHER, 0, 2, 0),)


# --- the file ----------------------------------------------------------------------------------

u32 = st.integers(0, 2**32 - 1)
files = st.builds(File, u32, u32, u32, st.integers(0, 2))
lists = st.lists(st.builds(Run, files, u32, st.integers(1, 1000), st.integers(0, 9)), max_size=50)


@given(lists)
def test_a_list_is_read_as_it_was_written(runs: list[Run]) -> None:
    assert unpacked(packed(runs)) == tuple(runs)


@given(lists, st.data())
def test_a_part_of_a_list_is_none(runs: list[Run], data: st.DataObject) -> None:
    content = packed(runs)
    cut = data.draw(st.integers(0, len(content) - 1))
    with pytest.raises(ValueError):
        unpacked(content[:cut])


@given(st.binary(max_size=200))
def test_anything_else_is_none(content: bytes) -> None:
    for each in (content, packed(())[:15] + content):
        with contextlib.suppress(ValueError):
            unpacked(each)


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ((5, 1663, 9, 3, 0, 0, 1), "pages that can't be"),
        ((5, 1663, 9, 0, 0, 0, 0), "pages that can't be"),
        ((5, 1663, 9, 0, 0, 0, 2**32 - 1), "more than 131072 pages"),
    ],
)
def test_an_absurd_list_is_refused(record: tuple[int, ...], words: str) -> None:
    content = packed(())[:15] + zlib.compress(struct.pack("<IIIBBII", *record))
    with pytest.raises(ValueError, match=words):
        unpacked(content)


def test_a_list_that_unpacks_without_end_is_refused() -> None:
    content = packed(())[:15] + zlib.compress(bytes(kept_pages.BYTES_MAX * 20))
    with pytest.raises(ValueError, match="too long"):
        unpacked(content)


def test_the_longest_list_of_single_pages_is_short_enough() -> None:
    blocks = random.Random(1).sample(range(1 << 20), kept_pages.PAGES_MAX)
    content = packed(Run(TABLE, block, 1, 0) for block in blocks)
    assert len(content) < kept_pages.BYTES_MAX
    assert page_count(unpacked(content)) == kept_pages.PAGES_MAX


# --- how it comes back -------------------------------------------------------------------------


def test_the_order_is_by_database_use_and_size_of_file() -> None:
    runs = (
        Run(TABLE, 50, 100, 0),
        Run(TABLE, 0, 20, 1),
        Run(TABLE, 10, 5, 0),
        Run(SHARED, 0, 3, 0),
        Run(INDEX, 7, 40, 0),
        Run(OTHER, 0, 500, 1),
        Run(OTHER, 900, 50, 0),
    )
    assert [(database, list(waiting)) for database, waiting in by_database(runs)] == [
        (5, [runs[3], runs[4], runs[2], runs[0], runs[1]]),
        (7, [runs[6], runs[5]]),
    ]


def test_what_belongs_to_no_single_database_needs_one() -> None:
    assert by_database((Run(SHARED, 0, 3, 0),)) == []


@given(lists, st.integers(1, 100))
def test_batches_are_of_any_number_of_files_and_lose_nothing(
    runs: list[Run], pages_max: int
) -> None:
    for _, waiting in by_database(runs):
        wanted, loaded = list(waiting), list[tuple[File, int]]()
        while waiting:
            batch = next_batch(waiting, pages_max)
            assert batch.pages == pages_max or (not waiting and 1 <= batch.pages <= pages_max)
            assert [each.parts for each in batch.by_file()] == [(part,) for part in batch.parts]
            loaded += [
                (part.file, page)
                for part in batch.parts
                for first, last in part.ranges
                for page in range(first, last + 1)
            ]
        assert loaded == [(run.file, run.first + at) for run in wanted for at in range(run.count)]


@given(lists, st.integers(1, 100), st.integers(0, 5))
def test_what_was_put_back_comes_next(runs: list[Run], pages_max: int, tried: int) -> None:
    for _, waiting in by_database(runs):
        batch = next_batch(waiting, pages_max)
        left = Batch(batch.parts[tried:])
        put_back(waiting, left)
        again = next_batch(waiting, pages_max)
        assert left.pages == 0 or again.parts[0] == left.parts[0]
        assert {part.file for part in left.parts} <= {part.file for part in again.parts}


def test_a_slow_disk_gets_small_batches_and_a_fast_one_large_ones() -> None:
    pace = Pace()
    for _ in range(20):
        assert pace.took(0.5, beside_clients=False) == 0.5
    assert pace.pages == kept_pages.BATCH_PAGES_MIN
    for _ in range(20):
        pace.took(0.001, beside_clients=False)
    assert pace.pages == kept_pages.BATCH_PAGES_MAX


def test_clients_at_work_have_most_of_the_time() -> None:
    assert Pace().took(0.01, beside_clients=True) == 4 * Pace().took(0.01, beside_clients=False)
