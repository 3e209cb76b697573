"""What an endpoint asks of its sessions, and when."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Any, cast

import pytest

from support.fakes.session import (
    NOTHING_FOUND,
    FakeHost,
    asked,
    attached,
    new_session,
    turns,
)
from torpor_api.failures import Busy
from torpor_api.messages import CloseGate, EndpointInfo
from torpor_api.phases import Phase
from torpor_proxy.core import wire
from torpor_proxy.executor.endpoint import Endpoint
from torpor_proxy.executor.host import State
from torpor_proxy.executor.session import Session
from torpor_proxy.settings import Settings

NOBODY = cast("Any", None)

CONNECTS_AT_ONCE = 2

TURNS = 50

CLOSE = CloseGate(name="shop", epoch=1, hold_s=60.0, patience_s=30.0)


class EndpointsHost(FakeHost):
    """What becomes of a session is told to an endpoint."""

    def __init__(self) -> None:
        super().__init__()
        info = EndpointInfo(name="shop", phase=Phase.ACTIVE, epoch=1)
        self.endpoint = Endpoint(info, Settings(), NOBODY, NOBODY, NOBODY, NOBODY)

    def moved(self, session: Session, before: State, after: State) -> None:
        self.endpoint.moved(session, before, after)

    def at_safe_point(self, session: Session) -> None:
        self.endpoint.at_safe_point(session)

    @property
    def waits_for_safe_points(self) -> bool:
        return self.endpoint.waits_for_safe_points


async def is_being_put_back(host: EndpointsHost) -> Session:
    """It came through the gate just before that closed; its next backend has not answered yet."""
    session, client = await attached(host)
    client.sends(wire.parse("", "select 2") + wire.SYNC)
    host.backend.sends(wire.message(b"1") + wire.ready_for_query())
    capturing = await asked(host, session)
    host.backend.sends(NOTHING_FOUND)
    await capturing
    session.let_go()
    client.sends(wire.bind("") + wire.SYNC)
    await turns(lambda: session.backend is not None and host.backend.written != b"")
    assert session.state is State.WAITING
    return session


async def test_a_gate_is_not_closed_before_who_came_through_it_is_parked_again() -> None:
    """It would attach behind the closed gate, to a compute that nobody is said to need."""
    host = EndpointsHost()
    session = await is_being_put_back(host)
    closing = asyncio.create_task(host.endpoint.close_gate(CLOSE))
    for _ in range(TURNS):
        await asyncio.sleep(0)
    assert not closing.done()
    with pytest.raises(Busy, match="waits for the database"):
        await host.endpoint.stop_listening(1)
    host.backend.sends(wire.message(b"1") + wire.ready_for_query(b"T") + wire.ready_for_query())
    await turns(lambda: session.state is State.ATTACHED)
    host.backend.written = b""
    host.backend.sends(wire.message(b"2") + wire.ready_for_query())
    await turns(lambda: host.backend.written != b"")
    host.backend.sends(NOTHING_FOUND)
    assert (await closing).left == 0
    assert session.is_parked and not host.backend.is_open


async def test_idle_sessions_are_left_alone_while_a_herd_comes() -> None:
    """To examine one takes as much of a processor as to let another one in."""
    host = FakeHost()
    session, _ = await attached(host)
    info = EndpointInfo(name="shop", phase=Phase.ACTIVE, epoch=1)
    settings = Settings(connects_at_once=CONNECTS_AT_ONCE)
    endpoint = Endpoint(info, settings, NOBODY, NOBODY, NOBODY, NOBODY)
    endpoint.attached.add(session)
    herd = [new_session(host)[0] for _ in range(CONNECTS_AT_ONCE + 1)]
    for each in herd:
        endpoint.moved(each, State.PARKED, State.WAITING)
    later = monotonic() + 2 * settings.capture_after_s
    endpoint.capture_idle(later)
    assert not endpoint._tasks
    endpoint.moved(herd[0], State.WAITING, State.PARKED)
    endpoint.capture_idle(later)
    await turns(lambda: b"pg_show_all_settings" in host.backend.written)
    host.backend.sends(NOTHING_FOUND)
    await turns(lambda: session.is_captured)
