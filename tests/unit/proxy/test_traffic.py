"""What a proxy says of the sessions of a database: how many do what, and how long it takes them."""

from __future__ import annotations

from time import monotonic

import pytest

from support.fakes.session import (
    ANSWER,
    NOTHING_FOUND,
    QUERY,
    FakeHost,
    asked,
    attached,
    new_session,
    row,
    state,
    turns,
)
from torpor_api.messages import EndpointSample
from torpor_proxy.core import wire
from torpor_proxy.core.tallies import Wait
from torpor_proxy.executor.host import State
from torpor_proxy.executor.session import Session
from torpor_proxy.executor.traffic import Traffic


class CountedHost(FakeHost):
    """Counts its sessions as an endpoint does."""

    def __init__(self) -> None:
        super().__init__()
        self.sessions: set[Session] = set()
        self.attached: set[Session] = set()
        self.is_awake = True
        self.traffic = Traffic(self.sessions, self.attached, lambda: self.is_awake, self.tallies)
        self.tally = self.traffic.tally

    def moved(self, session: Session, before: State, after: State) -> None:
        self.traffic.moved(session, before, after)
        is_attached = after in (State.ATTACHED, State.CAPTURING)
        if is_attached and session not in self.attached:
            self.attached.add(session)
            self.traffic.attached(session)
        elif not is_attached and session in self.attached:
            self.attached.discard(session)
            self.traffic.detached(session)

    @property
    def sample(self) -> EndpointSample:
        return self.traffic.sample("shop", 1, monotonic(), listens=False, reports=[])

    @property
    def waited(self) -> dict[str, int]:
        """How many, by what for."""
        return {wait: counted.count for wait, counted in self.tallies.waited().items()}


async def test_a_query_is_in_flight_until_its_answer_is_whole() -> None:
    host = CountedHost()
    session, client = new_session(host)
    host.sessions.add(session)
    assert host.sample.latencies is not None and host.sample.latencies.count == 0
    session.come_back()
    await turns(lambda: state(session) is State.ATTACHED)
    client.sends(QUERY + QUERY)
    sample = host.sample
    assert (sample.in_flight, sample.busy, sample.queries_total) == (2, 1, 0)
    host.backend.sends(ANSWER)
    assert (host.sample.in_flight, host.sample.queries_total) == (1, 1)
    host.backend.sends(ANSWER)
    sample = host.sample
    assert (sample.in_flight, sample.busy, sample.queries_total) == (0, 0, 2)
    assert sample.latencies is not None
    assert (sample.latencies.count, sum(sample.latencies.buckets)) == (2, 2)
    assert sample.latencies.sum_s > 0


async def test_what_was_counted_is_not_lost_with_its_session() -> None:
    host = CountedHost()
    session, client = new_session(host)
    session.come_back()
    await turns(lambda: state(session) is State.ATTACHED)
    client.sends(QUERY)
    host.backend.sends(ANSWER)
    client.sends(QUERY)  # Of which nobody will know how long it took.
    session.end()
    sample = host.sample
    assert (sample.attached, sample.in_flight, sample.queries_total) == (0, 0, 1)
    assert sample.latencies is not None and sample.latencies.count == 1


async def test_how_long_it_is_idle_counts_from_its_last_use_by_whoever_is_gone() -> None:
    host = CountedHost()
    assert host.traffic.idle_s(monotonic()) is None
    session, client = new_session(host)
    session.come_back()
    assert host.traffic.idle_s(monotonic()) is None
    client.sends(QUERY)
    assert host.traffic.idle_s(monotonic() + 50.0) == 0.0
    await turns(lambda: state(session) is State.ATTACHED)
    assert host.traffic.idle_s(monotonic() + 50.0) == 0.0
    host.backend.sends(ANSWER)
    answered_s = monotonic()
    session.end()
    idle_s = host.traffic.idle_s(answered_s + 50.0)
    assert idle_s is not None and 0.0 < idle_s <= 50.0


async def test_to_log_in_and_leave_is_no_use() -> None:
    host = CountedHost()
    session, client = new_session(host)
    session.come_back()
    assert host.traffic.idle_s(monotonic()) is None
    await turns(lambda: state(session) is State.ATTACHED)
    assert host.traffic.idle_s(monotonic()) is None
    client.sends(wire.TERMINATE)
    assert host.sample.busy == 1 and host.traffic.idle_s(monotonic()) is None
    assert host.traffic.sample("shop", 1, monotonic() + 50.0, listens=False, reports=[]).idle_s > 49
    session.end()
    assert host.traffic.idle_s(monotonic()) is None and host.sample.queries_total == 0


async def test_to_leave_is_no_use_of_a_database_that_was_used_before() -> None:
    host = CountedHost()
    session, client = new_session(host)
    session.come_back()
    await turns(lambda: state(session) is State.ATTACHED)
    client.sends(QUERY)
    host.backend.sends(ANSWER)
    assert session.exchange.queries == 1
    answered_s = session.last_used
    client.sends(wire.TERMINATE)
    assert host.sample.queries_total == 1 and session.last_used == answered_s
    session.end()
    assert host.traffic.idle_s(answered_s + 50.0) == 50.0


async def test_what_was_asked_ahead_of_a_leave_is_use() -> None:
    host = CountedHost()
    session, client = new_session(host)
    session.come_back()
    await turns(lambda: state(session) is State.ATTACHED)
    client.sends(QUERY + wire.TERMINATE)
    assert host.traffic.idle_s(monotonic() + 50.0) == 0.0
    session.end()
    idle_s = host.traffic.idle_s(session.last_used + 50.0)
    assert idle_s == 50.0


@pytest.mark.parametrize(("is_awake", "wait"), [(True, Wait.PLACE), (False, Wait.DATABASE)])
async def test_what_was_waited_for_a_compute_is_told_by_what_was_missing(
    is_awake: bool, wait: Wait
) -> None:
    host = CountedHost()
    host.is_awake = is_awake
    session, client = new_session(host)
    host.sessions.add(session)
    session.come_back()
    client.sink.received(QUERY)
    assert (host.sample.waiting, host.sample.in_flight, host.sample.busy) == (1, 0, 1)
    await turns(lambda: state(session) is State.ATTACHED)
    assert host.waited == {**dict.fromkeys(host.waited, 0), wait.value: 1}
    assert (host.sample.waiting, host.sample.in_flight) == (0, 1)


async def test_who_waits_in_vain_has_waited_too() -> None:
    host = CountedHost()
    session, _ = new_session(host)
    session.come_back()
    session.end()
    assert host.waited["place"] == 1


async def test_a_query_that_comes_during_a_capture_waits_for_its_end() -> None:
    host = CountedHost()
    session, client = await attached(host)
    for queries in (0, 1):
        capturing = await asked(host, session)
        if queries:
            client.sends(QUERY)
        host.backend.sends(NOTHING_FOUND)
        await capturing
        assert host.waited["capture"] == queries
        assert host.sample.in_flight == queries


async def test_pinned_sessions_are_counted() -> None:
    host = CountedHost()
    session, _ = await attached(host)
    assert host.sample.pinned_sessions == 0
    capturing = await asked(host, session)
    host.backend.sends(row("x", "cursor", "c") + NOTHING_FOUND)
    await capturing
    assert (host.sample.pinned_sessions, host.sample.attached) == (1, 1)
