"""The whole screen: what is drawn, in how much room, and what each key does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from support import fleet_rows as rows
from torpor_api.phases import Phase
from torpor_cli.place import Place
from torpor_cli.top import frame as drawing
from torpor_cli.top.keys import keys
from torpor_cli.top.live import on_screen
from torpor_cli.top.pressed import Quit, pressed
from torpor_cli.top.view import Action, Page, Seen, Sort, View, in_order
from torpor_cli.top.watcher import all_about

NOW = datetime(2027, 1, 1, 12, 0, 0, tzinfo=UTC)

WOKEN = {
    "wakes_last_hour": 7,
    "slowest_wake_ms": 310.4,
    "last_wake_ms": 41.2,
    "last_wake_at": "2027-01-01T11:58:00Z",
    "queries_per_s": 1234.5,
    "memory_bytes": 200 << 20,
    "cpu": 0.5,
}


def seen(*databases: Any) -> Seen:
    pools = [rows.pool().model_dump(mode="json")]
    return Seen([row.model_dump(mode="json") for row in databases], pools)


FLEET = seen(
    rows.database("blog", sessions=3),
    rows.database("broken", phase=Phase.FAILED, is_ready=False, why="its data is damaged"),
    rows.awake("shop", "c1", sessions=40, why="session 17 holds a lock", **WOKEN),
)

MANY = seen(*(rows.database(f"db-{number:05}") for number in range(10_000)))


def lines(view: View, told: Seen = FLEET, width: int = 120, height: int = 12) -> list[str]:
    drawn = drawing.frame(view, told, width, height, NOW)
    assert len(drawn) == height
    assert [line.text for line in drawn if len(line.text) > width] == []
    return [line.text.rstrip() for line in drawn]


# --- what is drawn ------------------------------------------------------------------------------


def test_the_fleet_is_summed_up_and_those_first_that_want_a_look() -> None:
    drawn = lines(View())
    assert drawn[0] == (
        "3 databases: 1 Active, 1 Failed, 1 Suspended; "
        "1 CU awake, 43 sessions, 7 wakes in the last hour"
    )
    assert drawn[1] == "pool default: 1/2 warm, 1 claimed"
    assert [line.split()[0] for line in drawn[3:6]] == ["broken", "shop", "blog"]
    assert lines(View(), width=200)[4].split()[1:] == [
        *("Active", "1", "40", "1,234", "0.50", "200.0", "MiB", "7", "310"),
        *("41ms", "2m", "session", "17", "holds", "a", "lock"),
    ]


def test_where_not_all_wakes_of_the_hour_are_known_it_says_that_there_may_be_more() -> None:
    since = {"wakes_known_since": "2027-01-01T11:58:00Z"}
    told = seen(rows.database("blog"), rows.awake("shop", "c1", **WOKEN, **since))
    drawn = lines(View(), told, width=200)
    assert drawn[0].endswith("7 wakes or more in the last hour")
    assert "7+" in drawn[3].split()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 100, 200])
@pytest.mark.parametrize("height", [1, 2, 5, 50])
@pytest.mark.parametrize("page", list(Page))
def test_any_size_of_a_terminal_is_kept(width: int, height: int, page: Page) -> None:
    lines(View(page=page, selected="shop"), FLEET, width, height)


def test_in_little_room_the_columns_give_way_and_the_names_stay() -> None:
    narrow = lines(View(), width=40)
    assert "PHASE" in narrow[2] and "MEMORY" not in narrow[2]
    assert narrow[4].startswith("shop ")


def test_wide_characters_take_two_columns() -> None:
    assert drawing.fitted("数据库", 6) == "数据库"
    assert drawing.fitted("数据库", 5) == "数…"
    assert drawing.fitted("\x1b[2J", 10) == "?[2J"


def test_of_ten_thousand_those_around_the_selected_one_are_drawn() -> None:
    drawn = lines(View(sort=Sort.NAME, selected="db-05000"), MANY, height=24)
    assert drawn[3].startswith("db-04990") and drawn[22].startswith("db-05009")
    first = lines(View(sort=Sort.NAME), MANY, height=24)
    assert first[3].startswith("db-00000")
    last = lines(View(sort=Sort.NAME, selected="db-09999"), MANY, height=24)
    assert last[22].startswith("db-09999")
    asked = on_screen(View(sort=Sort.NAME, selected="db-05000"), MANY, 24)
    assert len(asked) <= 2 * 24 and "db-04990" in asked and "db-05009" in asked


def test_a_database_that_is_looked_at_shows_its_last_wake() -> None:
    wake = {
        "database": "shop",
        "kind": "resume",
        "at": "2027-01-01T11:58:00Z",
        "epoch": 4,
        "compute": "c1",
        "cause": "session 17 of app",
        "total_ms": 41.0,
        "failure": "",
        "spans": [
            {"name": "claim", "where": "autoscaler", "begin_ms": 0.0, "ms": 41.0}
            | {"slack_ms": 0.0, "depth": 0}
        ],
    }
    opened = {
        "name": "shop",
        "wake": wake,
        "sessions": {"sessions": [rows.PINNED.model_dump(mode="json")], "total": 1},
        "why": {"phase": "Active", "reasons": ["session 17 holds a lock"]},
    }
    told = replace(FLEET, opened=opened)
    text = "\n".join(lines(View(page=Page.DATABASE, selected="shop"), told, height=30))
    for words in (
        "It is Active",
        "Its last wake",
        "session 17 of app",
        "claim",
        "1 session",
        "advisory lock",
    ):
        assert words in text
    other = lines(View(page=Page.DATABASE, selected="blog"), told)
    assert other[3] == "asking …"


def test_of_a_database_that_sleeps_it_is_the_last_wake_that_is_asked_for() -> None:
    """Its last transition is that into this sleep, and tells nobody why its wake took so long."""
    asked = dict[str, dict[str, Any]]()

    class Told:
        def ask_autoscaler(self, request: str, *, timeout_s: float, **body: Any) -> Any:
            asked[request] = body
            return {"transitions": [{"kind": "resume"}]}

    assert all_about(cast(Place, Told()), "shop")["wake"] == {"kind": "resume"}
    wanted = {"database": "shop", "kinds": ("resume", "failover"), "limit": 1}
    assert asked["AskTransitions"] == wanted


def test_why_nothing_newer_is_known_stands_below() -> None:
    assert lines(View(), replace(FLEET, failure="no `torpor up` is running"))[-1].startswith("no `")
    assert "20 s old" in lines(View(), replace(FLEET, age_s=20.0))[-1]


# --- keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "found"),
    [
        (b"j", ["j"]),
        (b"\x1b[A\x1b[B", ["up", "down"]),
        (b"\x1bOA", ["up"]),
        (b"\x1b", ["escape"]),
        (b"\x1b[5~q", ["page up", "q"]),
        (b"\r\x7f\x03", ["enter", "backspace", "q"]),
        (b"\x1b[1;5C\x1b[24~j", ["j"]),
        (b"\x1b[<0;1;2Mj", ["j"]),
        ("ä".encode(), []),
        (b"\x1b\x1b", ["escape", "escape"]),
    ],
)
def test_what_terminals_send(read: bytes, found: list[str]) -> None:
    assert list(keys(read)) == found


def after(view: View, *pressed_keys: str, told: Seen = FLEET) -> View:
    for key in pressed_keys:
        view, action = pressed(view, key, told.rows, 10)
        assert action is None
    return view


def test_databases_are_chosen_one_by_one_by_screens_and_at_the_ends() -> None:
    by_name = View(sort=Sort.NAME)
    assert after(by_name, "j", told=MANY).selected == "db-00001"
    assert after(by_name, "down", "down", "k", told=MANY).selected == "db-00001"
    assert after(by_name, "page down", told=MANY).selected == "db-00010"
    assert after(by_name, "G", told=MANY).selected == "db-09999"
    assert after(by_name, "G", "j", "g", told=MANY).selected == "db-00000"
    assert after(by_name, "k", told=MANY).selected == "db-00000"
    assert after(by_name, "j", told=seen()).selected == ""


def test_the_one_that_is_selected_stays_so_in_another_order() -> None:
    view = after(View(sort=Sort.NAME), "j", "j")
    assert view.selected == "shop"
    assert after(view, ">").sort is Sort.PHASE and after(view, ">").selected == "shop"
    assert after(view, "<").sort is Sort.LAST
    reversed_rows = in_order(FLEET.rows, after(view, "i"))
    assert [row["name"] for row in reversed_rows] == ["shop", "broken", "blog"]


def test_a_filter_is_typed_kept_and_cleared() -> None:
    view = after(View(), "/", "q", "b", "backspace", "backspace", "b", "l")
    assert view.filter == "bl" and view.is_typing
    kept = after(view, "enter")
    assert [row["name"] for row in in_order(FLEET.rows, kept)] == ["blog"]
    assert after(kept, "escape").filter == ""
    assert after(View(), "/", "s", "u", "s", "enter", told=FLEET).filter == "sus"
    assert [row["name"] for row in in_order(FLEET.rows, View(filter="sus"))] == ["blog"]


def test_nothing_is_done_before_a_person_has_agreed() -> None:
    view = View(sort=Sort.NAME, selected="shop")
    asking = after(view, "s")
    assert asking.asks == Action("suspend", "shop")
    assert lines(asking)[-1] == "Suspend shop? y: yes, any other key: no"
    no, nothing = pressed(asking, "n", FLEET.rows, 10)
    assert nothing is None and no.asks is None
    yes, action = pressed(asking, "y", FLEET.rows, 10)
    assert action == Action("suspend", "shop") and yes.asks is None
    _, woken = pressed(after(view, "r"), "y", FLEET.rows, 10)
    assert woken == Action("resume", "shop")
    assert after(View(), "s", told=seen()).asks is None


def test_one_goes_in_and_back_out() -> None:
    inside = after(View(sort=Sort.NAME), "j", "j", "enter")
    assert (inside.page, inside.selected) == (Page.DATABASE, "shop")
    assert after(inside, "j", "j").first == 2 and after(inside, "k").first == 0
    assert after(inside, "s").asks == Action("suspend", "shop")
    assert after(inside, "q").page is Page.FLEET
    assert after(View(), "?").page is Page.HELP
    assert after(View(filter="x"), "q").filter == ""
    with pytest.raises(Quit):
        after(View(), "q")
