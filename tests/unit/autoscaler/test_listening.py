"""Left in two rounds and entered in two, so that no proxy's parked sessions miss a notification."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.failures import Busy, Failure, NotFound, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import endpoints, facts, suspend, used
from torpor_autoscaler.lifecycle.actions import AskProxies
from torpor_autoscaler.lifecycle.limits import Limits
from unit.autoscaler.story import Story, address, awake

PROXIES = ("p1", "p2")


def asleep(*proxies: str, listens: bool = True, **spec: Any) -> Story:
    """Awake at first, with a session in each of the proxies; then a person put it to sleep."""
    story = awake(agents=3, **spec)
    story.listens = listens
    for proxy in proxies:
        story.world.proxies.registered(proxy)
    story.at(101.0)
    for proxy in proxies:
        story.sample(proxy, idle_s=1.0)
    story.fact(facts.wish_asleep, 7, 101.0)
    story.rest()
    assert story.phase() is Phase.SUSPENDED, story.refusals()
    return clear(story)


def clear(story: Story) -> Story:
    story.asked.clear()
    story.effects.clear()
    return story


def info(story: Story) -> m.EndpointInfo:
    return endpoints.info(story.database)


# --- entered in two rounds ---------------------------------------------------------------------


def test_nobody_attaches_before_every_proxy_listens() -> None:
    story = asleep(*PROXIES)
    story.wake()
    asked = story.until(m.StartListening)
    assert (asked.endpoint.epoch, asked.endpoint.address) == (2, address("c2"))
    assert info(story).address is None and not story.answers()
    story.wake()
    assert not story.answers(), "who comes now waits as well"
    story.answer()
    assert (info(story).address, info(story).listening) == (address("c2"), PROXIES)
    assert [type(answer) for answer in story.answers()] == [m.Awake]
    story.rest()
    assert len(story.all(m.StartListening)) == 1


@pytest.mark.parametrize(
    ("proxies", "listens"), [(("p1",), True), (PROXIES, False)], ids=["alone", "nobody listens"]
)
def test_where_nothing_can_be_missed_nobody_is_waited_for(
    proxies: tuple[str, ...], listens: bool
) -> None:
    story = asleep(*proxies, listens=listens)
    story.wake()
    story.rest()
    assert not story.all(m.StartListening)
    assert (info(story).address, info(story).listening) == (address("c2"), proxies)


def test_of_a_proxy_that_has_come_since_nothing_is_known() -> None:
    story = asleep(*PROXIES, listens=False)
    story.world.proxies.registered("p2")
    story.wake()
    story.until(m.StartListening)


def test_after_a_loss_everybody_is_asked() -> None:
    story = asleep(*PROXIES, listens=False)
    story.wake()
    story.rest()
    story.fact(facts.agent_gone, "c2", 101.0)
    story.wake()
    story.until(m.StartListening)


def test_who_does_not_listen_in_time_is_not_waited_for_and_told_so() -> None:
    story = asleep(*PROXIES)
    story.wake()
    story.until(m.StartListening)
    story.answer({"p1": m.Done(), "p2": Unavailable("no answer in 3 s")})
    story.rest()
    assert (info(story).address, info(story).listening) == (address("c2"), ("p1",))
    assert [type(answer) for answer in story.answers()] == [m.Awake]


def test_a_proxy_that_registers_meanwhile_is_asked_as_well() -> None:
    story = asleep(*PROXIES)
    story.wake()
    story.until(m.StartListening)
    story.world.proxies.registered("p3")
    story.answer({proxy: m.Done() for proxy in PROXIES})
    assert story.asks(m.StartListening) and info(story).address is None
    story.rest()
    assert info(story).listening == (*PROXIES, "p3")


def test_a_compute_that_is_lost_meanwhile_is_not_opened() -> None:
    story = asleep(*PROXIES)
    story.wake()
    story.until(m.StartListening)
    story.fact(facts.agent_gone, "c2", 101.0)
    story.answer()
    assert info(story).address is None and not story.answers()
    story.rest()
    assert story.record.status.epoch == 3 and info(story).address == address("c3")


def test_a_switchover_that_is_asked_for_meanwhile_begins_with_this_compute() -> None:
    story = asleep(*PROXIES)
    story.wake()
    story.until(m.StartListening)
    story.fact(facts.ask_switchover, 1, 10.0)
    story.answer()
    assert not story.moves() and [type(answer) for answer in story.answers()] == [m.Awake]
    assert story.until(m.CloseGate).epoch == 2


def test_a_postgres_that_comes_back_is_listened_to_before_anybody_attaches() -> None:
    story = asleep(*PROXIES)
    story.wake()
    story.rest()
    story.fact(
        facts.postgres_lost,
        m.PostgresLost(database="shop", epoch=2, restarting=True, reason="signal 11"),
        101.0,
    )
    clear(story)
    started = m.Started(address=address("c2"), steps=(), max_connections=100)
    story.fact(facts.postgres_back, m.PostgresBack(database="shop", epoch=2, started=started))
    assert story.asks(m.StartListening) and info(story).address is None
    story.rest()
    assert (info(story).address, info(story).listening) == (address("c2"), PROXIES)


def test_where_a_proxy_that_has_hung_up_may_let_its_sessions_attach_nothing_is_sure() -> None:
    """It has the address of the Postgres that comes back; of a fresh compute it has none."""
    story = asleep(*PROXIES)
    story.world.proxies.registered("p3")
    story.world.proxies.hung_up("p3", 101.0)
    story.wake()
    story.rest()
    assert info(story).listening == PROXIES
    lost = m.PostgresLost(database="shop", epoch=2, restarting=True, reason="signal 11")
    story.fact(facts.postgres_lost, lost, 101.0)
    started = m.Started(address=address("c2"), steps=(), max_connections=100)
    story.fact(facts.postgres_back, m.PostgresBack(database="shop", epoch=2, started=started))
    story.rest()
    assert (info(story).address, info(story).listening) == (address("c2"), ())


# --- left in two rounds ------------------------------------------------------------------------


def test_nobody_stops_listening_before_all_gates_are_closed() -> None:
    story = awake()
    story.at(101.0).sample(idle_s=1.0)
    story.fact(facts.wish_asleep, 7, 101.0)
    story.until(m.CloseGate)
    story.fail(Busy("session 3: a transaction is open"))
    assert story.until(m.OpenGate).listening == ()
    story.rest()
    assert not story.all(m.StopListening) and not story.all(m.StartListening)


@pytest.mark.parametrize(("step", "sure"), [(m.StopListening, ()), (m.StopCompute, PROXIES)])
def test_whoever_has_stopped_listening_does_so_again_before_gates_open(
    step: type[Any], sure: tuple[str, ...]
) -> None:
    """Where one has stopped and another one could not, that one's sessions may have notified."""
    story = awake()
    story.listens = True
    for proxy in PROXIES:
        story.world.proxies.registered(proxy)
    story.at(101.0)
    for proxy in PROXIES:
        story.sample(proxy, idle_s=1.0)
    story.fact(facts.wish_asleep, 7, 101.0)
    story.until(step)
    story.fail(Busy("its gate is open again"))
    assert story.asks(m.StartListening)
    assert story.until(m.OpenGate).listening == sure
    story.rest()
    assert (info(story).address, info(story).listening) == (address("c1"), sure)


def test_who_is_left_behind_may_notify_so_everybody_listens_on() -> None:
    story = awake()
    assert story.database.run is not None
    plan = suspend.close_gates(story.database, story.database.run, 1.0, insists=True)
    assert next(plan) == AskProxies(m.CloseGate(name="shop", epoch=1, hold_s=1.0, insists=True))
    with pytest.raises(StopIteration):
        plan.send({"p1": m.GateClosed(parked=1, left=1), "p2": m.GateClosed(parked=1)})


def test_whoever_left_sessions_behind_may_have_notified_until_the_stop() -> None:
    story = awake(agents=3)
    story.listens = True
    for proxy in PROXIES:
        story.world.proxies.registered(proxy)
        story.sample(proxy, idle_s=0.0)
    story.world.pool.leaves("c1", 101.0)
    story.fact(lambda it: facts.agent_leaves(it, "c1", is_news=True))
    story.until(m.StopListening)
    story.fail(Busy("its gate is open again"))
    assert story.until(m.StopCompute).force
    story.until(m.StartListening)
    story.rest()
    assert (info(story).address, info(story).listening) == (address("c2"), ())


# --- the compute's connections are shared ------------------------------------------------------


def test_a_computes_connections_are_shared_among_the_proxies_that_are_there() -> None:
    story = awake()
    assert (info(story).max_connections, info(story).proxies) == (100, 1)
    for number in range(3):
        story.world.proxies.registered(f"p{number}")
    assert (info(story).max_connections, info(story).proxies) == (33, 3)
    story.world.proxies.hung_up("p1", 101.0)
    assert (info(story).max_connections, info(story).proxies) == (50, 2)


def test_each_gets_one_at_least() -> None:
    story = awake()
    for number in range(101):
        story.world.proxies.registered(f"p{number}")
    assert info(story).max_connections == 1


def test_one_that_sleeps_has_none_to_share() -> None:
    story = asleep(*PROXIES)
    assert (info(story).max_connections, info(story).proxies) == (0, 0)


# --- when it was last used ---------------------------------------------------------------------


def test_the_latest_use_counts_and_who_does_not_know_it_has_none() -> None:
    answers: list[m.LastUse | Failure] = [m.LastUse(ago_s=None), NotFound("no endpoint")]
    assert used.last(answers) == m.LastUse(ago_s=None)
    assert used.last([*answers, m.LastUse(ago_s=3.0), m.LastUse(ago_s=2.0)]).ago_s == 2.0
    with pytest.raises(Unavailable, match="no answer"):
        used.last([*answers, Unavailable("no answer")])


def test_who_may_have_used_it_unseen_is_said() -> None:
    """An autoscaler that has just started has lost nobody, and does not know of all either."""
    world = awake(limits=Limits(start_grace_s=105.0)).world
    world.proxies.registered("p1")
    assert "just started" in world.unknown_sessions(now=104.9)
    assert world.unknown_sessions(now=105.0) == ""
    world.proxies.hung_up("p1", now=105.0)
    assert "hung up" in world.unknown_sessions(now=106.0)
