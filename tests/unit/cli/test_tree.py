"""What there is as a tree: how nodes are named, who stands under whom, and how it is drawn."""

from __future__ import annotations

import re

import pytest

from support import fleet_rows as rows
from torpor_api.failures import InvalidRequest
from torpor_cli.main import VERBS
from torpor_cli.tree.fleet import Fleet
from torpor_cli.tree.forest import Branch, cut, every, forest, path_to
from torpor_cli.tree.meaning import MEANINGS, Acts, Nothing, meaning
from torpor_cli.tree.node import Kind, Node, SessionName, parse_node, parse_session
from torpor_cli.tree.text import ASCII, UNICODE, as_json, lines, strokes_for


def fleet(*, proxies: tuple[str, ...] = ("proxy-1",)) -> Fleet:
    """As :data:`support.fleet_rows.ANSWERS` has it."""
    computes = [rows.claimed("c1", "shop"), rows.warm("c2")]
    sessions = [rows.PINNED, rows.session(18), rows.session(19, "blog")]
    awake = rows.awake("shop", "c1", sessions=2, attached=1, pinned=1, why="a pinned session")
    databases = [rows.database("blog", sessions=1, parked=1), awake]
    return Fleet(
        rows=[row.model_dump(mode="json") for row in databases],
        pools=[rows.pool().model_dump(mode="json")],
        computes=[row.model_dump(mode="json") for row in computes],
        sessions=[row.model_dump(mode="json") for row in sessions],
        proxies=proxies,
    )


def drawn(roots: tuple[Branch, ...]) -> list[str]:
    return [re.sub(r"(/\S+)  .*$", r"\1", line) for line in lines(roots, ASCII)]


# --- names --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("shop", Kind.DATABASE, "shop"),
        ("shop.team", Kind.DATABASE, "shop.team"),
        ("database/shop", Kind.DATABASE, "shop"),
        ("sdb/pool", Kind.DATABASE, "pool"),
        ("pools/default", Kind.POOL, "default"),
        ("Compute/compute-default-x7k2p", Kind.COMPUTE, "compute-default-x7k2p"),
        ("volume/shop", Kind.VOLUME, "shop"),
        ("session/17", Kind.SESSION, "17"),
        ("session/torpor-proxy-5c7d.17", Kind.SESSION, "torpor-proxy-5c7d.17"),
    ],
)
def test_a_node_is_a_kind_and_a_name_and_a_bare_name_is_a_database(
    text: str, kind: Kind, name: str
) -> None:
    assert parse_node(text) == Node(kind, name)
    assert parse_node(str(parse_node(text))) == Node(kind, name)


@pytest.mark.parametrize(
    "text",
    [
        *("pod/x", "/shop", "session/", "session/0", "session/x", "session/-1", "session/1/2"),
        *("compute/", "compute/No", "compute/../etc", "pool/"),
    ],
)
def test_what_is_no_node_is_refused_with_what_there_is(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_node(text)
    assert any(word in refused.value.message for word in ("kinds", "write"))


def test_of_a_session_the_proxy_may_have_points_in_its_name() -> None:
    assert parse_session("a.b.17") == SessionName(17, "a.b")
    assert str(SessionName(17)) == "17"


# --- who stands under whom ----------------------------------------------------------------------


def test_a_node_stands_under_what_it_depends_on() -> None:
    assert drawn(forest(fleet())) == [
        "pool/default",
        "|- compute/c1",
        "|  `- database/shop",
        "|     |- session/17",
        "|     |- session/18",
        "|     `- volume/shop",
        "|- compute/c2",
        "`- database/blog",
        "   |- session/19",
        "   `- volume/blog",
    ]


def test_each_says_in_a_line_what_it_is() -> None:
    told = dict(
        line.strip("|`- ").split("  ", 1)
        for line in lines(forest(fleet()), ASCII)
        if "  " in line.strip("|`- ")
    )
    assert told["pool/default"] == "1 of 2 warm, 1 claimed"
    assert told["compute/c1"] == "claimed, 1 CU, epoch 3"
    assert told["database/shop"] == (
        "Active, 1 CU, 2 sessions (1 attached, 1 pinned), a pinned session"
    )
    assert told["session/17"] == (
        "pinned for 3m, app@app from 10.0.0.7:5000, worker: holds advisory lock 42"
    )


def test_a_session_is_named_with_its_proxy_where_there_are_several() -> None:
    names = drawn(forest(fleet(proxies=("proxy-1", "proxy-2"))))
    assert "|     |- session/proxy-1.17" in names


def test_what_is_too_much_is_counted() -> None:
    many = [rows.database(f"db-{n:04}") for n in range(10_000)]
    told = fleet()
    told.rows.extend(row.model_dump(mode="json") for row in many)
    (root,) = forest(told, each_max=2)
    assert root.left_out == ("9,999 more asleep",)
    assert drawn((root,))[-1] == "`- ... 9,999 more asleep"
    assert len(list(every((root,)))) == 12
    assert len(list(every(forest(told)))) == 10 + 2 * 10_000


def test_sessions_that_were_not_listed_are_counted() -> None:
    told = fleet()
    told.rows[1]["sessions"] = 40
    shop = next(each for each in every(forest(told)) if each.node.name == "shop")
    assert shop.left_out == ("38 more sessions",)


def test_a_path_has_what_a_node_depends_on_and_what_depends_on_it() -> None:
    path = path_to(forest(fleet()), Node(Kind.DATABASE, "shop"))
    assert drawn(path) == [
        "pool/default",
        "`- compute/c1",
        "   `- database/shop",
        "      |- session/17",
        "      |- session/18",
        "      `- volume/shop",
    ]
    assert path_to(forest(fleet()), Node(Kind.DATABASE, "gone")) == ()


def test_a_depth_leaves_deeper_ones_out() -> None:
    (root,) = forest(fleet())
    assert drawn((cut(root, 1),)) == ["pool/default"]
    assert drawn((cut(root, 2),)) == [
        "pool/default",
        "|- compute/c1",
        "|- compute/c2",
        "`- database/blog",
    ]


def test_a_database_whose_compute_is_lost_stands_under_its_pool() -> None:
    told = fleet()
    told.computes.clear()
    assert "|- database/shop" in drawn(forest(told))


def test_as_json_each_has_its_children() -> None:
    (root,) = forest(fleet(), each_max=1)
    told = as_json(root)
    assert (told["kind"], told["name"], told["wanted"]) == ("pool", "default", 2)
    compute = told["children"][0]
    assert (compute["kind"], compute["name"], compute["state"]) == ("compute", "c1", "claimed")
    (database,) = compute["children"]
    assert (database["phase"], database["leftOut"]) == ("Active", ["1 more sessions"])
    assert [each["kind"] for each in database["children"]] == ["session", "volume"]


def test_strokes_are_those_that_the_terminal_can_show() -> None:
    assert strokes_for("utf-8") is UNICODE
    assert {strokes_for(name) for name in ("ascii", "latin-1", "no such", None)} == {ASCII}


# --- what verbs mean ----------------------------------------------------------------------------


def test_each_verb_has_a_word_for_each_kind() -> None:
    assert set(MEANINGS) <= set(VERBS)
    assert {verb for verb, by_kind in MEANINGS.items() if set(by_kind) != set(Kind)} == set()


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        (verb, kind)
        for verb, by_kind in MEANINGS.items()
        for kind, found in by_kind.items()
        if isinstance(found, Nothing)
    ],
)
def test_where_a_verb_means_nothing_it_says_what_does(verb: str, kind: Kind) -> None:
    with pytest.raises(InvalidRequest) as refused:
        meaning(verb, Node(kind, "x1"))
    assert f"{kind}/x1" in refused.value.message and refused.value.hint
    assert "{" not in refused.value.message + refused.value.hint


def test_a_verb_about_one_database_takes_each_of_its_nodes() -> None:
    assert meaning("status", Node(Kind.COMPUTE, "c1")) is Acts.ITS_DATABASE
    with pytest.raises(InvalidRequest, match="many databases"):
        meaning("switchover", Node(Kind.POOL, "default"))
