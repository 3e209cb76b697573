"""Which tiles are looked at, and what a viewer is told of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.made_up_fleet import MadeUpFleet
from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_autoscaler.dashboard import board as module
from torpor_autoscaler.dashboard.board import Board, Mark
from torpor_autoscaler.dashboard.tile import FIELDS, text_of


def seen(fleet: MadeUpFleet) -> Board:
    """A board with the whole fleet on it."""
    board = Board()
    board.saw((), fleet.rows.values())
    return board


def beat(board: Board, fleet: MadeUpFleet) -> int:
    """How many rows were looked at."""
    before = fleet.looked_at
    for names in board.due():
        board.saw(names, fleet.fleet(m.AskFleet(names=names)).databases)
    return fleet.looked_at - before


def told(board: Board, mark: Mark, limit: int = 1000) -> tuple[list[str], list[str], Mark]:
    changes = board.since(mark, limit)
    assert changes is not None
    return [json.loads(tile)[0] for tile in changes.tiles], list(changes.gone), changes.mark


def tile(row: m.DatabaseRow) -> dict[str, Any]:
    return dict(zip(FIELDS, json.loads(text_of(row)), strict=True))


def test_a_tile_has_what_the_page_shows() -> None:
    fleet = MadeUpFleet(3)
    row = fleet.rows["checkout"]
    shown = tile(row)
    assert (shown["name"], shown["phase"], shown["wakes"]) == ("checkout", "Active", 34)
    assert shown["cu"] == float(row.cu) and shown["lastWakeMs"] == 183.0


def test_figures_that_tremble_change_no_tile() -> None:
    row = MadeUpFleet(3).rows["checkout"].model_copy(update={"queries_per_s": 512.3})
    trembled = row.model_copy(update={"queries_per_s": 508.9, "cpu": 0.3, "why": "idle for 3s"})
    assert text_of(trembled) == text_of(row)
    assert text_of(row.model_copy(update={"queries_per_s": 700.0})) != text_of(row)


def test_a_viewer_is_told_what_has_changed_since() -> None:
    fleet = MadeUpFleet(10)
    board = seen(fleet)
    mark = board.mark
    fleet.changed = board.touched
    fleet.update("search", phase=Phase.FAILED)
    assert told(board, mark)[0] == []
    beat(board, fleet)
    assert told(board, mark)[:2] == (["search"], [])
    assert told(board, board.mark)[:2] == ([], [])


def test_what_changes_twice_is_told_once() -> None:
    fleet = MadeUpFleet(10)
    board = seen(fleet)
    mark = board.mark
    fleet.changed = board.touched
    for wakes in (70, 71):
        fleet.update("search", wakes_last_hour=wakes)
        beat(board, fleet)
    assert told(board, mark)[0] == ["search"]


def test_a_row_that_is_as_it_was_is_not_told() -> None:
    fleet = MadeUpFleet(10)
    board = seen(fleet)
    mark = board.mark
    board.touched("search")
    beat(board, fleet)
    assert board.mark == mark


def test_deletions_are_told_and_a_name_may_come_again() -> None:
    fleet = MadeUpFleet(10)
    board = seen(fleet)
    mark, row = board.mark, fleet.rows["search"]
    fleet.changed = board.touched
    fleet.remove("search")
    beat(board, fleet)
    assert told(board, mark)[:2] == ([], ["search"])
    fleet.rows["search"] = row
    board.touched("search")
    beat(board, fleet)
    assert told(board, mark)[:2] == (["search"], ["search"])


def test_many_changes_come_in_parts_and_none_is_left_out() -> None:
    fleet = MadeUpFleet(300)
    board = seen(fleet)
    mark = Mark(board.mark.board, 0)
    names: list[str] = []
    while mark != board.mark:
        some, _, mark = told(board, mark, limit=70)
        names += some
    assert sorted(names) == sorted(fleet.rows)


def test_whoever_knows_another_board_begins_anew() -> None:
    fleet = MadeUpFleet(3)
    board, other = seen(fleet), seen(fleet)
    assert board.since(other.mark, 10) is None
    assert board.since(Mark(board.mark.board, board.mark.change + 1), 10) is None


def test_whoever_may_have_missed_a_deletion_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GONE_MAX", 2)
    fleet = MadeUpFleet(10)
    board = seen(fleet)
    mark = board.mark
    fleet.changed = board.touched
    for name in list(fleet.rows)[:2]:
        fleet.remove(name)
    beat(board, fleet)
    assert board.since(mark, 10) is not None
    fleet.remove(next(iter(fleet.rows)))
    beat(board, fleet)
    assert board.since(mark, 10) is None
    assert board.since(board.mark, 10) is not None


def test_of_ten_thousand_a_beat_looks_at_few_and_in_the_end_at_all() -> None:
    fleet = MadeUpFleet(10_000)
    board = seen(fleet)
    sleeping = [name for name, row in fleet.rows.items() if row.phase is Phase.SUSPENDED]
    fleet.rows[sleeping[-1]] = fleet.rows[sleeping[-1]].model_copy(update={"wakes_last_hour": 77})
    mark = board.mark
    most = max(beat(board, fleet) for _ in range(10_000 // module.SWEPT_MAX + 1))
    assert most <= module.AWAKE_MAX + module.SWEPT_MAX
    assert told(board, mark)[0] == [sleeping[-1]]


def test_all_that_are_awake_have_their_turn() -> None:
    fleet = MadeUpFleet(10)
    for index in range(module.AWAKE_MAX + 50):
        name = f"awake-{index}"
        fleet.rows[name] = fleet.rows["checkout"].model_copy(update={"name": name})
    board = seen(fleet)
    mark = board.mark
    for name, row in fleet.rows.items():
        if name.startswith("awake-"):
            fleet.rows[name] = row.model_copy(update={"sessions": 99})
    for _ in range(2):
        beat(board, fleet)
    assert len(told(board, mark)[0]) == module.AWAKE_MAX + 50


def test_a_storm_of_changes_is_looked_at_over_several_beats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TOUCHED_MAX", 20)
    monkeypatch.setattr(module, "SWEPT_MAX", 0)
    monkeypatch.setattr(module, "AWAKE_MAX", 0)
    fleet = MadeUpFleet(50)
    board = seen(fleet)
    for name in fleet.rows:
        board.touched(name)
    assert [beat(board, fleet) for _ in range(4)] == [20, 20, 10, 0]


@pytest.mark.parametrize("text", ["", "-", "a", "a-", "-1", "a-x", "a-٣", "a-" + "9" * 30])
def test_what_is_no_mark_is_none(text: str) -> None:
    assert Mark.read(text) is None


def test_a_mark_is_read_as_it_was_written() -> None:
    assert Mark.read(str(Mark("ab", 12))) == Mark("ab", 12)
