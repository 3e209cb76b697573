"""A proxy that ends: each session goes at the end of its transaction, at the deadline at last."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from support.fakes.session import ANSWER, QUERY, FakeHost, FakeStream, attached, state, turns
from torpor_proxy.core import wire
from torpor_proxy.executor.host import State
from torpor_proxy.executor.registry import Registry
from torpor_proxy.executor.session import Session
from torpor_proxy.settings import Settings

IN_A_TRANSACTION = wire.message(b"C", b"BEGIN\0") + wire.ready_for_query(b"T")

LOOKS = 5
"""That the draining takes at a session which is not to be ended."""


class Draining:
    """Of one session."""

    def __init__(
        self, host: FakeHost, session: Session, client: FakeStream, **limits: float
    ) -> None:
        settings = replace(Settings(), **limits)  # type: ignore[arg-type]
        self._registry = Registry(settings, cast("Any", None), cast("Any", None))
        endpoint = SimpleNamespace(sessions={session})
        self._registry.endpoints["shop"] = cast("Any", endpoint)
        self._sessions = endpoint.sessions
        self.host, self.session, self.client = host, session, client
        client.taken()
        self._task = asyncio.create_task(self._registry.drain())

    async def looks(self) -> None:
        for _ in range(LOOKS):
            await asyncio.sleep(0.02)
        assert not self._task.done()

    async def ends(self) -> None:
        async with asyncio.timeout(5):
            while state(self.session) is not State.ENDED:
                await asyncio.sleep(0.01)
        self._sessions.clear()
        await self._task
        assert b"57P01" in self.client.written


async def draining(**limits: float) -> Draining:
    host = FakeHost()
    session, client = await attached(host)
    return Draining(host, session, client, **limits)


async def test_an_idle_session_goes_at_once() -> None:
    await (await draining()).ends()


@pytest.mark.parametrize("is_visited", [False, True])
async def test_one_in_a_transaction_goes_when_that_is_over(is_visited: bool) -> None:
    """Also while a statement of its is tried again."""
    host = FakeHost()
    session, client = await attached(host)
    client.sends(QUERY)
    host.backend.sends(IN_A_TRANSACTION)
    visited = session._begin_visit() if is_visited else None
    drained = Draining(host, session, client)
    await drained.looks()
    assert state(session) is (State.CAPTURING if is_visited else State.ATTACHED)
    if visited is not None:
        session.go_on(visited)
    client.sends(QUERY)
    await drained.looks()
    host.backend.sends(ANSWER)
    await drained.ends()


async def test_time_runs_out_for_a_transaction_that_does_not_end() -> None:
    host = FakeHost()
    session, client = await attached(host)
    client.sends(QUERY)
    host.backend.sends(IN_A_TRANSACTION)
    await turns(lambda: session.is_busy)
    await Draining(host, session, client, drain_timeout_s=0.1).ends()
