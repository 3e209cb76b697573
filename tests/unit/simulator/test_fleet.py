"""A whole fleet: the same on any number of processes, and no second is lost."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from torpor_simulator import plot, report
from torpor_simulator.falling import Falling
from torpor_simulator.fleet import SHARD, Fleet, Order, run
from torpor_simulator.policies import BY_NAME, POLICIES, Policy, named
from torpor_simulator.pool import TERMS
from torpor_simulator.recorded import Recorded, Recording
from torpor_simulator.trace_file import Trace
from unit.simulator.kinds import trace

QUIET = trace(visits_per_day=[[0, 0.2], [0.9, 20], [1, 4000]], linger=[[0.5, 600], [0.5, 1e9]])

FIXED = tuple(BY_NAME[name] for name in ("always-on", "neon", "aurora", "torpor-5s"))


SHOP = Recorded("shop", uses=[(0.0, 1.0), (10.0, 1.0), (400.0, 1.0)])


def nothing(done: int, number: int) -> None:
    assert done <= number


def lines(order: Order, processes: int = 1) -> list[report.Line]:
    return report.lines(order.policies, run(order, processes, nothing), 0.1)


def test_figures_are_the_same_on_any_number_of_processes() -> None:
    order = Order(QUIET, FIXED, SHARD + 50)
    assert lines(order, processes=2) == lines(order, processes=1)


FALLS = Falling(late_s=0.5, takes_s=0.25)
BURSTS = trace(visits_per_day=[[0, 10], [1, 900]], visits_per_burst=20, cv=2.0)
BUSY = trace(visits_per_day=[[0, 1500], [1, 1e6]], hours=[0.0] * 8 + [1.0] * 16)
TIMERS = trace(periods=[[0.5, 300.0], [0.5, 3600.0]], knocks_per_day=20, linger=[[1.0, 0.0]])


@pytest.mark.parametrize(
    ("source", "figures"),
    [
        (BURSTS, [(98, 0, 68142), (0, 0, 691200), (2121, 0, 4493)]),
        (BUSY, [(8, 0, 460800), (0, 0, 691200), (17666, 0, 349721)]),
        (TIMERS, [(287, 0, 216009), (272, 97, 246043), (720, 0, 1476)]),
    ],
)
def test_figures_of_a_seed_can_be_had_again(
    source: Trace, figures: list[tuple[int, int, int]]
) -> None:
    """By any later version: each policy's wakes, those by a knock, and seconds awake."""
    policies = (BY_NAME["neon"], BY_NAME["aurora"], replace(BY_NAME["torpor-1s"], falls=FALLS))
    tallies = Fleet(Order(source, policies, 8)).shard(0).tallies
    assert [(each.wakes, each.knock_wakes, round(each.awake_s)) for each in tallies] == figures


def test_another_seed_is_another_fleet() -> None:
    neon = (BY_NAME["neon"],)
    assert lines(Order(QUIET, neon, 50, seed=1)) != lines(Order(QUIET, neon, 50, seed=2))


def test_no_database_is_another_ones_double() -> None:
    fleet = Fleet(Order(QUIET, FIXED, 3))
    assert fleet.life(0) != fleet.life(1) != fleet.life(2) and fleet.life(1) == fleet.life(1)


def test_no_second_is_lost() -> None:
    policies = (*FIXED, BY_NAME["azure-sql"], BY_NAME["torpor-auto"])
    outcome = run(Order(QUIET, policies, 60), 1, nothing)
    assert outcome.total.databases == 60
    for tally in outcome.total.tallies:
        assert tally.awake_s + tally.asleep_s == pytest.approx(60 * 86400)


def test_longer_time_outs_cost_more_and_wake_less() -> None:
    policies = tuple(named(f"torpor-{timeout}") for timeout in ("1s", "8s", "60s", "300s"))
    found = lines(
        Order(recording(SHOP, Recorded("blog", uses=[(90.0, 1.0), (171.0, 1.0)])), policies, 2)
    )
    assert [line.awake_share for line in found] == sorted(line.awake_share for line in found)
    wakes = [line.wakes for line in found]
    assert wakes == [5, 5, 4, 3]


def recording(*databases: Recorded) -> Recording:
    return Recording("recorded", 600.0, databases)


def one_line(source: Recording, policy: Policy) -> report.Line:
    (line,) = lines(Order(source, (policy,), 1000))
    return line


def test_a_recorded_trace_is_replayed_as_it_was() -> None:
    line = one_line(recording(SHOP), BY_NAME["neon"])
    assert (line.wakes, line.killed, line.cold) == (2, 1, 0)
    assert line.awake_share == pytest.approx((11 + 300 + 200) / 600)
    assert line.cu_s == pytest.approx(511 * 0.25)
    assert line.dollars == pytest.approx(511 * 0.25 / 3600 * 0.1)
    assert [line.wait_p50_s, line.wait_p99_s] == pytest.approx([0.3, 0.3], rel=1e-3)
    assert line.waited_s == pytest.approx(0.6)


def test_a_busy_database_does_not_hide_who_waits_for_the_others() -> None:
    busy = Recorded("busy", uses=[(0.25 * step, 0.2) for step in range(2000)])
    line = one_line(recording(SHOP, busy), BY_NAME["neon"])
    assert line.wait_p99_s == 0
    assert line.database_p99_s == pytest.approx(0.3, rel=1e-3)


def test_who_comes_while_it_falls_asleep_waits_for_that_first() -> None:
    shop = Recorded("shop", uses=[(0.0, 1.0), (6.0 + FALLS.late_s, 1.0), (100.0, 1.0)])
    policy = replace(BY_NAME["torpor-5s"], falls=Falling(FALLS.late_s - 0.1, 4.0))
    line = one_line(recording(shop), policy)
    assert line.wakes == 3
    assert line.waited_s == pytest.approx(3 * policy.warm.mean_s + 4.0 / 2)


def test_the_warm_pool_is_paid() -> None:
    line = one_line(recording(Recorded("unused")), BY_NAME["torpor-1s"])
    assert line.cu_s == pytest.approx(600 * TERMS.least * TERMS.member_cu)


def test_what_is_printed_has_a_cell_for_each_column() -> None:
    header, cells = report.rows(lines(Order(recording(SHOP), POLICIES, 1)))
    assert {len(row) for row in cells} == {len(header)}


def test_the_picture_has_a_dot_for_each_policy_and_no_label_on_another() -> None:
    found = lines(Order(recording(SHOP), POLICIES, 1))
    picture = ElementTree.fromstring(plot.drawn("a <trace>", found))
    name = "{http://www.w3.org/2000/svg}"
    assert len(picture.findall(f"{name}circle")) == len(POLICIES)
    labels = [
        (float(text.attrib["x"]), float(text.attrib["y"]))
        for text in picture.findall(f"{name}text")
        if (text.text or "").split(" ")[0] in BY_NAME
    ]
    assert len(labels) == len(POLICIES)
    for at, (x, y) in enumerate(labels):
        for other_x, other_y in labels[:at]:
            assert abs(x - other_x) >= 100 or abs(y - other_y) >= 11
