"""What an endpoint asks of its sessions, and when."""

from __future__ import annotations

from time import monotonic
from typing import Any, cast

from support.fakes.session import NOTHING_FOUND, FakeHost, attached, new_session, turns
from torpor_api.messages import EndpointInfo
from torpor_api.phases import Phase
from torpor_proxy.executor.endpoint import Endpoint
from torpor_proxy.executor.host import State
from torpor_proxy.settings import Settings

NOBODY = cast("Any", None)

CONNECTS_AT_ONCE = 2


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
