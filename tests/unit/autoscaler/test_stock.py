"""How many wait, from a fleet's own wakes: what is counted, measured, kept and explained."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_api.resource import Endpoint
from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.core.wakes import RECENT_S
from torpor_autoscaler.core.warm import STEADY_S, MissReason
from torpor_autoscaler.lifecycle import learned
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.lifecycle.stock import FIRST_REPLACE_S, LEARNED_S, Bounds, PoolRecord
from torpor_autoscaler.lifecycle.world import World
from unit.autoscaler.story import POOL, Story, agent

MONDAY = 1_767_571_200
"""A midnight, UTC."""


class Pool:
    """One pool whose members come after ``replace_s``; the clocks run together."""

    def __init__(self, record: PoolRecord | None = None, *, replace_s: float = 2.0) -> None:
        endpoint = Endpoint(host="db.example", port=5432)
        self.world = World(Limits(), warm=0, endpoint=endpoint, now=0.0, pool=POOL)
        self.world.wall_s = MONDAY
        self.world.stocks.seen(record or PoolRecord(POOL, Bounds(1, 10)), 0.0)
        self.replace_s = replace_s
        self.has_room = True
        self.sizes: list[int] = []
        self._coming: list[tuple[float, int]] = []
        self._made = 0
        self._databases = 0
        self.pass_s(60)

    def wake(self) -> bool:
        """Somebody takes a member; whether there was one."""
        self._databases += 1
        name, world = f"d{self._databases}", self.world
        found = world.pool.take(name, None, pool=POOL)
        if found is None:
            world.stocks.missed(POOL, world.now, world.wall_s, has_own_volume=False)
            world.pool.stop_waiting(name)
        else:
            world.stocks.of(POOL).came(world.wall_s)
        self.look()
        return found is not None

    def look(self) -> None:
        world = self.world
        world.stocks.size(world.pool, world.now, world.wall_s)
        self.sizes.append(world.pool.need(POOL).size)
        for _ in range(world.pool.missing(POOL) - len(self._coming)):
            self._made += 1
            self._coming.append((world.now + self.replace_s, self._made))

    def pass_s(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.now += 1
            self.world.wall_s += 1
            arrived = [one for at, one in self._coming if at <= self.world.now and self.has_room]
            self._coming = [pair for pair in self._coming if pair[1] not in arrived]
            for one in arrived:
                self._learn(one)
            self.look()

    def _learn(self, number: int) -> None:
        found = agent(number, POOL)
        self.world.pool.learn(found)
        self.world.stocks.heard(self.world.pool, None, found, self.world.now, self.world.wall_s)

    @property
    def size(self) -> int:
        return self.world.pool.need(POOL).size


def test_at_rest_the_least_waits_and_a_wake_brings_more_for_a_while() -> None:
    pool = Pool()
    assert pool.size == 1
    assert pool.wake()
    assert pool.size == 3
    pool.pass_s(RECENT_S + int(STEADY_S) + 1)
    assert pool.size == 1


def test_how_long_a_replacement_takes_is_measured() -> None:
    pool = Pool(replace_s=20.0)
    assert pool.world.stocks.of(POOL).terms.replace_s > FIRST_REPLACE_S
    for _ in range(20):
        pool.wake()
        pool.pass_s(30)
    assert pool.world.stocks.of(POOL).terms.replace_s == pytest.approx(20.0, abs=1.0)


def test_a_node_without_room_is_no_measure_and_wants_no_more_and_more() -> None:
    """Ten are wanted, two fit: the rest are pods that wait, and what waits has taken no time."""
    pool = Pool()
    pool.wake()
    pool.pass_s(30)
    pool.has_room = False
    for _ in range(30):
        pool.wake()
        pool.pass_s(20)
    before = pool.world.stocks.of(POOL).terms.replace_s
    assert pool.size <= 10 and before < FIRST_REPLACE_S
    pool.has_room = True
    pool.pass_s(1)
    assert pool.world.stocks.of(POOL).terms.replace_s <= RECENT_S


def test_a_burst_is_what_came_before_more_could_be_warm_and_then_it_is_the_bound() -> None:
    pool = Pool(PoolRecord(POOL, Bounds(1, 4)))
    found = [pool.wake() for _ in range(12)]
    assert found.count(True) == 1 and pool.size == 4
    assert pool.world.stocks.cold_starts == {MissReason.BURST: 11}
    pool.pass_s(10)
    for _ in range(6):
        pool.wake()
    assert pool.world.stocks.cold_starts == {MissReason.BURST: 11, MissReason.BOUND: 2}


def test_where_members_don_t_come_it_is_they_that_are_slow() -> None:
    pool = Pool(PoolRecord(POOL, Bounds(2, 4)))
    pool.has_room = False
    for _ in range(3):
        pool.wake()
        pool.pass_s(30)
    assert pool.world.stocks.cold_starts == {MissReason.SLOW: 1}


def test_wakes_by_chance_don_t_make_and_end_members_all_the_time() -> None:
    """Of twenty minutes' steady traffic; without its minute a size falls twenty times."""
    from random import Random

    random, pool = Random(5), Pool(PoolRecord(POOL, Bounds(1, 50)))
    pool.pass_s(5)
    pool.sizes.clear()
    for _ in range(1200):
        if random.random() < 0.2:
            pool.wake()
        pool.pass_s(1)
    falls = sum(after < before for before, after in zip(pool.sizes, pool.sizes[1:], strict=False))
    assert falls <= 5


def test_who_erases_data_is_a_part_of_the_demand() -> None:
    pool = Pool()
    world, found = pool.world, agent(1, POOL)
    assert world.pool.is_free("c1")
    taken = found.model_copy(update={"is_taken": True})
    world.pool.learn(taken)
    world.stocks.heard(world.pool, found, taken, world.now, world.wall_s)
    pool.look()
    assert pool.size == 3


def test_news_of_what_was_there_or_is_for_one_database_is_no_replacement() -> None:
    pool = Pool()
    world, stock, there = pool.world, pool.world.stocks.of(POOL), agent(1, POOL)
    pool.wake()
    world.now += 12.0
    measured_s = stock.terms.replace_s
    own = agent(90, POOL).model_copy(update={"database": "shop"})
    another = agent(91, POOL)
    for found in (own, another):
        world.pool.learn(found)
    world.stocks.heard(world.pool, there, there, world.now, world.wall_s)
    world.stocks.heard(world.pool, None, own, world.now, world.wall_s)
    assert stock.terms.replace_s == measured_s
    world.stocks.heard(world.pool, None, another, world.now, world.wall_s)
    assert stock.terms.replace_s > measured_s
    assert stock.size == 3


def test_a_claim_of_our_own_that_the_cluster_tells_is_not_counted_twice() -> None:
    pool = Pool()
    world, found = pool.world, agent(1, POOL)
    pool.wake()
    size = pool.size
    taken = found.model_copy(update={"is_taken": True})
    world.pool.learn(taken)
    world.stocks.heard(world.pool, found, taken, world.now, world.wall_s)
    pool.look()
    assert pool.size == size


def test_a_restart_ends_none_that_wait_before_as_much_is_known_again() -> None:
    pool = Pool(PoolRecord(POOL, Bounds(1, 10), wanted=7))
    assert pool.sizes[0] == 7 and pool.size == 7
    pool.pass_s(RECENT_S - 61)
    assert pool.size == 7
    pool.pass_s(2)
    assert pool.size == 1
    assert Pool(PoolRecord(POOL, Bounds(1, 5), wanted=7)).size == 5


@pytest.mark.parametrize("jump_s", [-3 * 3600, 300, 5 * 3600])
def test_a_clock_that_jumps_ends_none_that_wait_either(jump_s: int) -> None:
    pool = Pool()
    for _ in range(60):
        pool.wake()
        pool.pass_s(10)
    before = pool.size
    assert before > 2
    pool.world.wall_s += jump_s
    pool.pass_s(RECENT_S - 61)
    assert pool.size == before
    pool.pass_s(62)
    assert pool.size == 1


def test_what_was_learned_of_an_hour_outlives_the_autoscaler() -> None:
    pool = Pool(PoolRecord(POOL, Bounds(1, 50)))
    pool.pass_s(3600 - 60)
    for _ in range(20):
        pool.wake()
    pool.pass_s(int(LEARNED_S) + 120)
    text = pool.world.stocks.of(POOL).learned
    assert 0 < len(text) < 400
    later = Pool(PoolRecord(POOL, Bounds(1, 50), learned=text))
    later.pass_s(3600 - 60 - 180)
    assert later.size == 1
    later.pass_s(150)
    assert later.size == 20


def test_it_is_written_no_oftener_than_every_ten_minutes() -> None:
    pool, seen = Pool(), set[str]()
    for _ in range(3600):
        pool.world.stocks.of(POOL).came(pool.world.wall_s)
        pool.pass_s(1)
        seen.add(pool.world.stocks.of(POOL).learned)
    assert 3 <= len(seen) <= 3600 / LEARNED_S + 1


@pytest.mark.parametrize("text", ["none", "bm9uZQ==", "eJwDAAAAAAE=", "é" * 9])
def test_patterns_that_are_none_are_refused_and_the_pool_lives_without(text: str) -> None:
    pool = Pool()
    with pytest.raises(ValueError, match="no patterns of wakes"):
        pool.world.stocks.seen(PoolRecord("fast", Bounds(1, 10), learned=text), 0.0)
    assert pool.world.stocks.of("fast").terms.most == 10


def test_a_pool_of_which_nothing_is_promised_stays_at_its_least() -> None:
    pool = Pool(PoolRecord(POOL, Bounds(1, 10, 0.0)))
    pool.pass_s(3600 - 60)
    for _ in range(5):
        pool.wake()
    assert pool.size == 1
    pool.pass_s(3570)
    assert pool.size == 1


def test_a_pool_that_is_gone_is_forgotten_and_a_wrong_name_is_not_remembered() -> None:
    stocks = Pool().world.stocks
    stocks.of("no-such-pool").came(MONDAY)
    assert [name for name, _ in stocks] == [POOL]
    stocks.seen(PoolRecord("fast", Bounds(2, 3)), 0.0)
    assert [name for name, _ in stocks] == [POOL, "fast"]
    stocks.gone("fast")
    assert [name for name, _ in stocks] == [POOL]


def test_all_day_long_takes_no_more_room_than_a_record_has() -> None:
    from random import Random

    from torpor_api.warm_pool import LEARNED_CHARACTERS_MAX

    random, wakes = Random(3), Pool().world.stocks.of(POOL)._wakes
    for second in range(MONDAY, MONDAY + 86_400, 20):
        wakes.add(second, 5.0, random.randrange(1, 3000))
    text = learned.packed(wakes)
    assert len(text) <= LEARNED_CHARACTERS_MAX


# --- a database's own wake -----------------------------------------------------------------------


def test_a_cold_start_is_counted_once_and_told_where_the_database_is_asked_about() -> None:
    story = Story(agents=0)
    story.wake()
    story.rest()
    story.wake()
    story.rest()
    assert story.world.stocks.cold_starts.total() == 1
    made = [dated.decision for dated in story.database.decisions]
    (decision,) = [one for one in made if one.loop is Loop.WARM_POOL]
    assert decision.follows.startswith("starts cold (bound): no member was warm: 1 wake within 5 s")
    story.at(103.0).world.pool.learn(agent(1))
    story.fact(lambda database: None)
    written = story.until(m.WriteStatus, phase=Phase.ACTIVE)
    assert written.status.last_resume is not None
    steps = {step.name: step.ms for step in written.status.last_resume.steps}
    assert steps["wait for a warm compute: bound"] == 3000.0


def test_a_wake_that_finds_one_warm_is_none() -> None:
    story = Story()
    story.wake()
    story.rest()
    assert not story.world.stocks.cold_starts


def test_a_database_with_its_own_volume_starts_cold_by_its_nature() -> None:
    story = Story(has_volumes=True, storage={"mode": "dedicated"})
    story.wake()
    story.rest()
    assert story.world.stocks.cold_starts == {MissReason.OWN_VOLUME: 1}
