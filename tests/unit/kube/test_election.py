"""Of two candidates one leads; the other one takes over when it ends, or is not heard any more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import pytest

from support.fake_kube.server import FakeKube
from support.operating import SYSTEM, serving
from torpor_api.failures import Conflict, NotFound
from torpor_kube import kinds
from torpor_kube.election import Election
from torpor_kube.lease import Terms
from torpor_kube.login import at
from torpor_kube.server import ApiServer

TERMS = Terms()

SPEED = 20
"""So many times as fast as ours the clock runs."""

TICK_S = 0.005
"""Of ours. The clock goes on by such ticks, and so only while this process runs: how long others
have the processor decides nothing."""


class FastClock:
    def __init__(self) -> None:
        self._now = 0.0

    def tick(self) -> None:
        self._now += TICK_S * SPEED

    def now(self) -> float:
        return self._now

    def wall_s(self) -> float:
        return 1_800_000_000.0 + self._now


@pytest.fixture
async def fake() -> AsyncIterator[FakeKube]:
    async with serving() as fake:
        yield fake


@pytest.fixture(autouse=True)
async def clock(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FastClock]:
    """By which pauses are slept as well."""
    real, clock = asyncio.sleep, FastClock()

    async def sleep(seconds: float) -> None:
        await real(0)
        ends_at = clock.now() + seconds
        while clock.now() < ends_at:
            await real(TICK_S)

    async def run() -> None:
        while True:
            await real(TICK_S)
            clock.tick()

    monkeypatch.setattr("torpor_kube.election.asyncio.sleep", sleep)
    running = asyncio.create_task(run())
    yield clock
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


@contextlib.asynccontextmanager
async def candidate(fake: FakeKube, clock: FastClock, name: str) -> AsyncIterator[Election]:
    kube = ApiServer(at(fake.url))
    election = Election(kube, clock, name, SYSTEM, "torpor-operator", TERMS)
    task = asyncio.create_task(election.run())
    try:
        yield election
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await kube.close()


async def soon(event: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await event.wait()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(TERMS.retry_s)


def holder(fake: FakeKube) -> str:
    stored = fake.objects.stored[(kinds.LEASE, SYSTEM, "torpor-operator")]
    return str(stored.document["spec"]["holderIdentity"])


async def test_while_one_leads_no_other_does(fake: FakeKube, clock: FastClock) -> None:
    async with candidate(fake, clock, "a") as first:
        await soon(first.won)
        async with candidate(fake, clock, "b") as second:
            for _ in range(20):
                await asyncio.sleep(TERMS.retry_s)
            assert (holder(fake), second.won.is_set()) == ("a", False)


async def test_an_orderly_end_hands_over_without_waiting(fake: FakeKube, clock: FastClock) -> None:
    async with candidate(fake, clock, "a") as first:
        await soon(first.won)
        await first.release()
        assert holder(fake) == ""


async def test_a_leader_asks_once_for_each_renewal_and_sees_by_it_that_another_leads(
    fake: FakeKube,
    clock: FastClock,
) -> None:
    async with candidate(fake, clock, "a") as first:
        await soon(first.won)
        before = len(fake.requests)
        await until(lambda: len(fake.requests) >= before + 3)
        assert {request.split()[0] for request in fake.requests[before:]} == {"PATCH"}
        key = (kinds.LEASE, SYSTEM, "torpor-operator")
        fake.objects.patch(key, {"spec": {"holderIdentity": "b"}}, "")
        await soon(first.lost)
        assert holder(fake) == "b"
        assert fake.requests[-1].split()[0] == "GET"


async def test_a_lease_that_was_deleted_is_made_again_by_who_leads(
    fake: FakeKube, clock: FastClock
) -> None:
    async with candidate(fake, clock, "a") as first:
        await soon(first.won)
        key = (kinds.LEASE, SYSTEM, "torpor-operator")
        fake.objects.delete(key, {}, None)
        await until(lambda: key in fake.objects.stored)
        assert (holder(fake), first.lost.is_set()) == ("a", False)


async def test_one_that_is_not_heard_any_more_is_followed(fake: FakeKube, clock: FastClock) -> None:
    async with candidate(fake, clock, "a") as first:
        await soon(first.won)
    async with candidate(fake, clock, "b") as second:
        await soon(second.won)
    assert holder(fake) == "b"
    spec = fake.objects.stored[(kinds.LEASE, SYSTEM, "torpor-operator")].document["spec"]
    assert spec["leaseTransitions"] == 1


class Slow:
    """An API server whose answer to the first one that takes the Lease comes late."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.renews = asyncio.Event()

    def now(self) -> float:
        return self.now_s

    def wall_s(self) -> float:
        return self.now_s

    async def get(self, *args: object) -> dict[str, Any]:
        raise NotFound("no Lease")

    async def create(self, kind: object, document: dict[str, Any]) -> dict[str, Any]:
        self.now_s += TERMS.renew_deadline_s
        return {**document, "metadata": {**document["metadata"], "resourceVersion": "1"}}

    async def patch(self, *args: object) -> dict[str, Any]:
        self.renews.set()
        await asyncio.Event().wait()
        raise AssertionError("never")


async def test_the_time_for_which_one_leads_begins_before_it_asks() -> None:
    """The other one counts from when the Lease was written, however late its holder hears of it."""
    slow = Slow()
    election = Election(cast("Any", slow), slow, "a", SYSTEM, "torpor-operator", TERMS)
    task = asyncio.create_task(election.run())
    await soon(slow.renews)
    assert not election.won.is_set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_whose_process_was_stopped_leads_no_more_in_the_moment_in_which_it_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Before any of its tasks has run again; and then it does not take the Lease anew."""
    served = Taken()
    slow = Slow()
    election = Election(cast("Any", served), slow, "a", SYSTEM, "torpor-operator", TERMS)
    task = asyncio.create_task(election.run())
    await soon(election.won)
    assert election.leads()
    slow.now_s += TERMS.renew_deadline_s
    assert not election.leads()
    await soon(election.lost)
    await task
    assert (served.writes, "leadership_lost" in caplog.text) == (1, True)


class Taken:
    """An API server with a Lease that was given to another one after its first holder took it."""

    def __init__(self) -> None:
        self.stored: dict[str, Any] | None = None
        self.writes = 0

    async def get(self, *args: object) -> dict[str, Any]:
        if self.stored is None:
            raise NotFound("no Lease")
        return {**self.stored, "spec": {**self.stored["spec"], "holderIdentity": "b"}}

    async def create(self, kind: object, document: dict[str, Any]) -> dict[str, Any]:
        self.writes += 1
        self.stored = {**document, "metadata": {**document["metadata"], "resourceVersion": "1"}}
        return self.stored

    async def patch(self, *args: object) -> dict[str, Any]:
        self.writes += 1
        raise Conflict("the object has been modified")


async def test_a_leader_reads_at_once_who_has_taken_its_lease(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr("torpor_kube.election.asyncio.sleep", sleep)
    election = Election(cast("Any", Taken()), Slow(), "a", SYSTEM, "torpor-operator", TERMS)
    await election.run()
    assert (pauses, election.lost.is_set()) == ([TERMS.retry_s, 0.0, 0.0], True)


async def test_who_can_not_renew_steps_down(fake: FakeKube, clock: FastClock) -> None:
    async with candidate(fake, clock, "a") as first:
        await soon(first.won)
        with fake.faults.away():
            await soon(first.lost)
    assert TERMS.renew_deadline_s < TERMS.duration_s


async def test_who_can_not_read_the_lease_any_more_steps_down_and_says_why(
    fake: FakeKube, clock: FastClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with candidate(fake, clock, "a") as first:
        await soon(first.won)
        key = (kinds.LEASE, SYSTEM, "torpor-operator")
        fake.objects.patch(key, {"spec": {"leaseDurationSeconds": "long"}}, "")
        await soon(first.lost)
    assert "lease_defect" in caplog.text
