"""Verbs on every kind of node, on one machine and on a cluster: what is asked, what is printed."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from support import fleet_rows as rows
from support.fake_kube.server import FakeKube
from support.verb_places import SHOP, Autoscaler, on_cluster, on_machine
from torpor_api import messages as m
from torpor_api.failures import Busy, InvalidRequest, NotFound, Refused
from torpor_api.phases import Phase

AWAKE = m.Awake(endpoint=m.EndpointInfo(name="shop", phase=Phase.ACTIVE, epoch=4))

IN_POOLS = m.FleetPage(
    databases=(
        rows.database("blog"),
        rows.database("other", pool="large"),
        rows.awake("shop", "c1"),
        rows.awake("shoes", "c3"),
    ),
    at="2027-01-01T00:00:00Z",
)


@pytest.fixture(params=["machine", "cluster"])
async def autoscaler(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Autoscaler]:
    """Whatever is asked and answered is the same on one machine and on a cluster."""
    if request.param == "machine":
        async with on_machine(tmp_path) as fake:
            yield fake
    else:
        async with FakeKube().serving() as kube, on_cluster(tmp_path, kube) as fake:
            yield fake


@pytest.fixture(autouse=True)
def answers(autoscaler: Autoscaler) -> None:
    autoscaler.answers |= rows.ANSWERS
    autoscaler.answers[m.Wake] = AWAKE


def acts(autoscaler: Autoscaler) -> list[m.Message]:
    """What was asked that changes something."""
    changes = (m.Suspend, m.Wake, m.Resize, m.EndSession)
    return [asked for asked in autoscaler.asked if isinstance(asked, changes)]


# --- one database, whichever of its nodes is named ----------------------------------------------


@pytest.mark.parametrize("node", ["shop", "database/shop", "volume/shop", "compute/c1"])
async def test_a_node_of_a_database_is_put_to_sleep_with_it(
    autoscaler: Autoscaler, node: str
) -> None:
    result = await autoscaler.torpor("suspend", node)
    assert result.exit_code == 0, result.output
    assert acts(autoscaler) == [m.Suspend(name="shop")]
    assert result.stdout == "shop is suspended\n"


async def test_what_was_done_is_told_to_programs(autoscaler: Autoscaler) -> None:
    told = await autoscaler.torpor("suspend", "compute/c1", "-o", "json")
    assert json.loads(told.stdout) == {
        "results": [{"node": "database/shop", "outcome": "suspended"}]
    }


async def test_a_session_does_not_sleep_by_itself(autoscaler: Autoscaler) -> None:
    refused = await autoscaler.torpor("suspend", "session/17")
    assert isinstance(refused.exception, InvalidRequest)
    assert "`torpor delete session/17 --" in refused.exception.hint
    assert acts(autoscaler) == []


async def test_a_compute_that_serves_nobody_has_nothing_to_suspend(autoscaler: Autoscaler) -> None:
    refused = await autoscaler.torpor("suspend", "compute/c2")
    assert isinstance(refused.exception, Refused) and "it is warm" in str(refused.exception)
    missing = await autoscaler.torpor("suspend", "compute/c9")
    assert isinstance(missing.exception, NotFound)


async def test_verbs_about_one_database_take_its_other_nodes_too(autoscaler: Autoscaler) -> None:
    autoscaler.answers[m.AskDecisions] = m.DecisionList(name="shop")
    assert (await autoscaler.torpor("decisions", "compute/c1")).exit_code == 0
    assert autoscaler.asked[-1] == m.AskDecisions(name="shop")
    await autoscaler.torpor("resize", "volume/shop", "2")
    assert acts(autoscaler) == []  # CU are no volume's.
    await autoscaler.torpor("resize", "compute/c1", "0.5")
    (asked,) = acts(autoscaler)
    assert isinstance(asked, m.Resize) and asked.name == "shop"


# --- many ---------------------------------------------------------------------------------------


async def test_of_a_pool_each_database_that_is_awake_is_put_to_sleep(
    autoscaler: Autoscaler,
) -> None:
    autoscaler.answers[m.AskFleet] = IN_POOLS
    autoscaler.declare("other", "shoes")
    unsaid = await autoscaler.torpor("suspend", "pool/default")
    assert unsaid.exit_code == 2 and "--yes" in unsaid.stderr and acts(autoscaler) == []
    result = await autoscaler.torpor("suspend", "pool/default", "--yes")
    assert acts(autoscaler) == [m.Suspend(name="shop"), m.Suspend(name="shoes")]
    assert result.stdout == "shop is suspended\nshoes is suspended\n"
    autoscaler.asked.clear()
    await autoscaler.torpor("resume", "pool/large", "--yes")
    assert [asked.name for asked in acts(autoscaler) if isinstance(asked, m.Wake)] == ["other"]


async def test_one_that_fails_does_not_keep_the_others_and_is_an_exit_code(
    autoscaler: Autoscaler,
) -> None:
    autoscaler.answers[m.AskFleet] = IN_POOLS
    autoscaler.declare("shoes")
    autoscaler.answers[m.Suspend] = Busy("a session is at work")
    result = await autoscaler.torpor("suspend", "pool/default", "--yes", "-o", "json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)["results"]
    assert [each["outcome"] for each in told] == ["failed", "failed"]
    assert told[1] == {
        "node": "database/shoes",
        "outcome": "failed",
        "failure": "a session is at work",
    }
    alone = await autoscaler.torpor("suspend", "shop")
    assert isinstance(alone.exception, Busy)


# --- sessions -----------------------------------------------------------------------------------


async def test_a_session_is_ended_by_its_proxy(autoscaler: Autoscaler) -> None:
    autoscaler.answers[m.Sessions] = m.SessionList(sessions=(rows.PINNED,), total=1)
    result = await autoscaler.torpor("delete", "session/17", "--yes")
    assert result.exit_code == 0, result.output
    assert acts(autoscaler) == [m.EndSession(name="shop", proxy="proxy-1", number=17)]
    assert result.stdout == "session/17 of app from 10.0.0.7:5000 at shop is ended\n"


async def test_where_two_proxies_have_that_number_the_proxy_is_named(
    autoscaler: Autoscaler,
) -> None:
    both = (rows.session(17), rows.session(17, "blog", proxy="proxy-2"))
    autoscaler.answers[m.Sessions] = m.SessionList(sessions=both, total=2)
    refused = await autoscaler.torpor("delete", "session/17", "--yes")
    assert isinstance(refused.exception, InvalidRequest)
    assert "session/proxy-1.17 or session/proxy-2.17" in str(refused.exception)
    autoscaler.declare("blog")
    await autoscaler.torpor("delete", "session/proxy-2.17", "--yes")
    assert acts(autoscaler) == [m.EndSession(name="blog", proxy="proxy-2", number=17)]


async def test_a_session_that_is_gone_is_not_found(autoscaler: Autoscaler) -> None:
    autoscaler.answers[m.Sessions] = m.SessionList(missing=("proxy-9",))
    missing = await autoscaler.torpor("delete", "session/17", "--yes")
    assert isinstance(missing.exception, NotFound)
    assert "proxy-9 did not answer" in str(missing.exception)


# --- why ----------------------------------------------------------------------------------------


async def test_each_kind_says_why_it_is_as_it_is(autoscaler: Autoscaler) -> None:
    autoscaler.answers[m.Why] = m.WhyReply(name="shop", phase=Phase.ACTIVE, reasons=("a lock",))
    autoscaler.answers[m.Sessions] = m.SessionList(sessions=(rows.PINNED,), total=1)

    async def why(node: str) -> list[str]:
        return (await autoscaler.torpor("why", node)).stdout.splitlines()

    assert await why("shop") == ["shop is Active", "  a lock"]
    assert await why("compute/c1") == [
        "compute/c1 is claimed, 1 CU, epoch 3, and serves:",
        "shop is Active",
        "  a lock",
    ]
    assert (await why("compute/c2"))[1] == "  it waits in pool/default"
    assert await why("pool/default") == [
        "pool/default has 1 of 2 warm, 1 claimed",
        "  two wakes a minute",
    ]
    assert (await why("session/17"))[1] == "  it can't be parked, so its database stays awake"
    told = await autoscaler.torpor("why", "compute/c1", "-o", "json")
    assert json.loads(told.stdout)["reasons"] == ["a lock"]


# --- get ----------------------------------------------------------------------------------------


async def test_kinds_are_tables(autoscaler: Autoscaler) -> None:
    computes = (await autoscaler.torpor("get", "computes")).stdout.splitlines()
    assert [line.split() for line in computes] == [
        ["COMPUTE", "STATE", "POOL", "DATABASE", "EPOCH", "CU"],
        ["c1", "claimed", "default", "shop", "3", "1"],
        ["c2", "warm", "default", "-", "-", "-"],
    ]
    pools = (await autoscaler.torpor("get", "pools")).stdout.splitlines()
    assert pools[1].split() == ["default", "2", "1", "1", "0", "two", "wakes", "a", "minute"]
    sessions = (await autoscaler.torpor("get", "sessions")).stdout.splitlines()
    assert sessions[1].split()[:4] == ["17", "shop", "app", "app"]
    databases = (await autoscaler.torpor("get")).stdout.splitlines()
    assert databases[1].split()[:2] == ["shop", "Suspended"]


async def test_names_alone_are_nodes_that_other_verbs_take(autoscaler: Autoscaler) -> None:
    told = await autoscaler.torpor("get", "databases", "computes", "sessions", "-o", "name")
    assert told.stdout.splitlines() == [
        "database/shop",
        "compute/c1",
        "compute/c2",
        "session/17",
        "session/18",
        "session/19",
    ]


async def test_one_node_is_told_whole(autoscaler: Autoscaler) -> None:
    told = (await autoscaler.torpor("get", "compute/c1")).stdout.splitlines()
    assert [line.split() for line in told[:3]] == [
        ["Compute:", "c1"],
        ["State:", "claimed"],
        ["Pool:", "default"],
    ]
    assert (await autoscaler.torpor("get", "shop")).stdout.startswith("Name:  ")


async def test_as_json_and_yaml(autoscaler: Autoscaler) -> None:
    every = json.loads((await autoscaler.torpor("get", "computes", "-o", "json")).stdout)
    assert (every["kind"], len(every["items"])) == ("List", 2)
    assert every["items"][0]["kind"] == "Compute" and every["items"][0]["name"] == "c1"
    one = yaml.safe_load((await autoscaler.torpor("get", "shop", "-o", "yaml")).stdout)
    assert (one["kind"], one["metadata"]["name"]) == ("ServerlessDatabase", "shop")
    assert one["spec"]["idleTimeout"] == SHOP.as_json()["spec"]["idleTimeout"]  # type: ignore[index]


async def test_a_watch_prints_again_what_has_changed_and_no_age(
    autoscaler: Autoscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [
        (rows.session(17, since_s=1.0), rows.session(18, since_s=1.0)),
        (rows.session(17, since_s=2.0), rows.session(18, since_s=2.0)),
        (rows.session(17, since_s=3.0), rows.session(18, since_s=0.1, reason="is running a query")),
    ]

    def next_look(_: float) -> None:
        if not looks:
            raise KeyboardInterrupt
        found = looks.pop(0)
        autoscaler.answers[m.Sessions] = m.SessionList(sessions=found, total=len(found))

    next_look(0.0)
    monkeypatch.setattr("torpor_cli.verbs.get_verb.time.sleep", next_look)
    told = await autoscaler.torpor("get", "sessions", "--watch")
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["SESSION", "17", "18", "18"]
    assert lines[-1].endswith("is running a query")


async def test_nothing_of_a_kind_is_said_beside_the_output(autoscaler: Autoscaler) -> None:
    autoscaler.answers[m.Sessions] = m.SessionList()
    told = await autoscaler.torpor("get", "sessions")
    assert (told.stdout, told.stderr) == ("", "there are no sessions\n")
    assert json.loads((await autoscaler.torpor("get", "sessions", "-o", "json")).stdout) == {
        "apiVersion": "v1",
        "kind": "List",
        "items": [],
    }


# --- tree and top -------------------------------------------------------------------------------


async def test_the_tree_is_drawn_of_few_questions(autoscaler: Autoscaler) -> None:
    told = await autoscaler.torpor("tree", "--ascii")
    names = [re.sub(r"(/\S+)  .*$", r"\1", line) for line in told.stdout.splitlines()]
    assert names[:3] == ["pool/default", "|- compute/c1", "|  `- database/shop"]
    assert [type(asked) for asked in autoscaler.asked] == [m.AskComputes, m.Sessions, m.AskFleet]


async def test_the_tree_of_one_node_asks_for_that_one(autoscaler: Autoscaler) -> None:
    page = m.FleetPage(databases=(rows.awake("shop", "c1", sessions=2),), at="")
    autoscaler.answers[m.AskFleet] = page
    told = json.loads((await autoscaler.torpor("tree", "shop", "-o", "json")).stdout)
    (pool,) = told["nodes"]
    (compute,) = pool["children"]
    assert (compute["name"], compute["children"][0]["name"]) == ("c1", "shop")
    assert m.AskFleet(names=("shop",)) in autoscaler.asked
    autoscaler.answers[m.AskFleet] = m.FleetPage(databases=(), at="")
    missing = await autoscaler.torpor("tree", "gone")
    assert isinstance(missing.exception, NotFound)


async def test_a_fleet_of_several_pages_is_asked_for_page_by_page(autoscaler: Autoscaler) -> None:
    names = [f"db-{number}" for number in range(3)]
    pages = {
        "": m.FleetPage(databases=(rows.database(names[0]),), has_more=True, at=""),
        names[0]: m.FleetPage(databases=(rows.database(names[1]),), has_more=True, at=""),
        names[1]: m.FleetPage(databases=(rows.database(names[2]),), at=""),
    }
    autoscaler.answer_fleet = lambda asked: pages[asked.after]
    told = json.loads((await autoscaler.torpor("top", "-o", "json")).stdout)
    assert [row["name"] for row in told["databases"]] == names


async def test_top_without_a_terminal_is_one_snapshot(autoscaler: Autoscaler) -> None:
    told = (await autoscaler.torpor("top", "--sort", "name")).stdout.splitlines()
    assert told[0].startswith("2 databases: 1 Active, 1 Suspended; 1 CU awake, 3 sessions")
    assert told[2].split()[:2] == ["NAMEv", "PHASE"]
    assert [line.split()[0] for line in told[3:]] == ["blog", "shop"]
    assert "\x1b" not in "".join(told)
