"""Sessions that listen, and the connection that hears for them; the test plays the server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.fakes.notifying import ListeningHost, Notifier, NotifyingStream
from support.fakes.session import (
    QUERY,
    FakeHost,
    FakeStream,
    attached,
    new_session,
    state,
    turns,
)
from torpor_proxy.core import wire
from torpor_proxy.core.capture import Captured, Pins
from torpor_proxy.core.cut import notification_of
from torpor_proxy.core.held import CUT_CHANNEL, Kind, held_of, row_of
from torpor_proxy.executor.host import State
from torpor_proxy.executor.session import Session

STEPS_MAX = 60

LISTEN = wire.message(b"Q", b'LISTEN "news"\0')


class Client:
    """Of one session that listens."""

    def __init__(self, host: ListeningHost | None = None) -> None:
        self.host = host or ListeningHost(Notifier())
        self.server = self.host.server
        self.heard: list[str] = []
        self.errors: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.session: Session
        self.stream: FakeStream

    async def log_in(self) -> Client:
        self.session, self.stream = new_session(self.host)
        self.session.come_back()
        await self.host.settle()
        self.stream.sends(LISTEN)
        await self.host.settle()
        self.read()
        return self

    def read(self) -> None:
        for kind, body in self.stream.taken():
            if kind == b"A":
                said = notification_of(kind + bytes(4) + body)
                assert said.channel != CUT_CHANNEL
                self.heard.append(said.payload.decode())
            elif kind == b"E":
                self.errors.append(wire.report_fields(body)["C"])

    @property
    def own(self) -> NotifyingStream:
        """The session's own backend."""
        assert self.session.backend is not None
        stream = self.session.backend.stream
        assert isinstance(stream, NotifyingStream)
        return stream

    @property
    def listener(self) -> NotifyingStream:
        """The connection that hears for others, which there must be."""
        own = self.session.backend and self.session.backend.stream
        (found,) = [b for b in self.server.backends if b.is_open and b is not own]
        return found

    # --- what may happen ----------------------------------------------------------------

    async def notify(self) -> None:
        self.server.notify("news", str(len(self.server.sent)))

    async def own_speaks(self) -> None:
        if self.session.backend is not None:
            self.own.deliver()

    async def others_speak(self) -> None:
        for backend in list(self.server.backends):
            if self.session.backend is None or backend is not self.own:
                backend.deliver()

    async def park(self) -> None:
        if self.session.is_at_rest:
            task = asyncio.create_task(self.session.park())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def ask(self) -> None:
        if self.stream.is_open and not self.stream.is_paused:
            self.stream.sends(QUERY)

    async def turn(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    async def finish(self) -> None:
        await self.host.settle()
        self.read()
        assert not self._tasks


STEPS: tuple[Callable[[Client], Awaitable[None]], ...] = (
    Client.notify,
    Client.own_speaks,
    Client.others_speak,
    Client.park,
    Client.ask,
    Client.turn,
)


@settings(deadline=None)
@given(st.booleans(), st.lists(st.sampled_from(STEPS), max_size=STEPS_MAX))
def test_whoever_is_slow_each_notification_is_heard_once_and_in_order(
    is_parked: bool, steps: list[Callable[[Client], Awaitable[None]]]
) -> None:
    async def story() -> None:
        client = await (parked() if is_parked else Client().log_in())
        for step in steps:
            await step(client)
            client.read()
            assert client.heard == client.server.sent[: len(client.heard)]
        await client.finish()
        assert client.heard == client.server.sent and client.errors == []
        client.session.end()

    asyncio.run(story())


async def parked(host: ListeningHost | None = None) -> Client:
    client = await Client(host).log_in()
    await client.park()
    await client.host.settle()
    assert state(client.session) is State.PARKED
    return client


async def test_it_has_no_backend_and_hears_all_the_same() -> None:
    client = await parked()
    await client.notify()
    await client.finish()
    assert client.heard == ["0"]
    assert sorted(client.listener.channels) == ["_torpor_cut", "news"]


async def test_many_members_share_a_connection() -> None:
    clients = [await parked()]
    for _ in range(2):
        clients.append(await parked(clients[0].host))
    await clients[0].notify()
    for client in clients:
        await client.finish()
    assert [client.heard for client in clients] == [["0"]] * 3
    assert clients[0].host.listeners.connections == 1
    await clients[1].ask()
    await clients[1].notify()
    for client in clients:
        await client.finish()
    assert [client.heard for client in clients] == [["0", "1"]] * 3


async def test_without_anybody_who_hears_it_keeps_its_backend_for_now() -> None:
    client = await Client().log_in()
    client.server.is_gone = True
    await client.park()
    await client.notify()
    await client.finish()
    assert state(client.session) is State.ATTACHED and client.session.is_pinned
    assert "can not be handed over: nobody is there" in client.session.reason
    assert client.heard == ["0"] and client.own.channels == ["news"]


async def test_a_listener_that_is_lost_in_the_middle_of_the_cut_is_not_relied_upon() -> None:
    client = await Client().log_in()
    await client.park()
    for _ in range(50):
        if CUT_CHANNEL.decode() not in client.own.channels:
            await client.own_speaks()
        await client.others_speak()
        await asyncio.sleep(0)
    assert CUT_CHANNEL.decode() in client.own.channels
    client.listener.vanishes()
    await client.notify()
    for _ in range(50):  # Another one would be there before the session's own backend is heard.
        await client.others_speak()
        await asyncio.sleep(0)
    await client.finish()
    assert state(client.session) is State.ATTACHED and client.session.is_pinned
    assert client.heard == ["0"] and client.own.channels == ["news"]


async def test_a_client_speaks_while_its_session_leaves() -> None:
    client = await Client().log_in()
    await client.park()
    await client.ask()
    await client.finish()
    assert state(client.session) is State.ATTACHED
    assert client.own.channels == ["news"]


async def test_on_its_way_back_it_waits_for_a_listener_that_is_slow() -> None:
    client = await parked()
    await client.notify()
    await client.ask()
    for _ in range(50):
        await client.own_speaks()
        await client.turn()
    client.read()
    assert state(client.session) is State.WAITING and client.heard == []
    await client.finish()
    assert state(client.session) is State.ATTACHED and client.heard == ["0"]


async def test_a_backend_that_is_lost_while_it_waits_for_the_listener_is_not_asked() -> None:
    client = await Client().log_in()
    await client.park()
    await turns(lambda: not client.own.deliver() and client.host.listeners.connections == 1)
    client.own.vanishes()
    await client.finish()
    assert state(client.session) is State.PARKED


# --- connections are lost -----------------------------------------------------------------


async def test_a_lost_listener_comes_back_and_nobody_is_told_where_nothing_was_notified() -> None:
    client = await parked()
    client.listener.vanishes()
    await client.host.settle()
    await client.notify()
    await client.finish()
    assert client.heard == ["0"] and client.errors == []


async def test_whoever_may_have_missed_something_is_told_and_ends() -> None:
    client = await parked()
    client.host.last_use = asyncio.get_running_loop().time()
    client.listener.vanishes()
    await client.finish()
    assert client.errors == ["57P01"] and state(client.session) is State.ENDED


async def test_nobody_listens_behind_a_closed_gate_but_for_those_who_leave() -> None:
    client = await parked()
    client.host.is_gate_open = False
    rest = asyncio.create_task(client.host.listeners.rest())
    await client.host.settle()
    assert await rest
    await client.host.listeners.ready(client.host.epoch)
    assert client.host.listeners.connections == 0
    other = await parked(client.host)
    assert client.host.listeners.connections == 1 and other.errors == []


async def test_a_late_word_of_an_earlier_compute_does_not_end_what_listens_on_the_next() -> None:
    client = await parked()
    client.host.epoch = 2
    client.host.is_gate_open = False
    connection = client.listener
    await client.host.listeners.ready(1)
    assert client.listener is connection and connection.is_open


async def test_who_has_waited_for_its_turn_finds_the_gate_closed() -> None:
    client = await parked()
    listeners = client.host.listeners
    told = asyncio.create_task(listeners.rest())
    await asyncio.sleep(0)
    listeners.adopt(client.session, "UTF8", (b"more",), sure_until=float("inf"))
    ready = asyncio.create_task(listeners.ready(client.host.epoch))
    await asyncio.sleep(0)
    client.host.is_gate_open = False
    client.listener.deliver()
    await told
    await ready
    assert listeners.connections == 0


async def test_what_was_made_sure_of_is_not_in_doubt() -> None:
    client = await parked()
    await client.notify()
    client.host.last_use = asyncio.get_running_loop().time()
    client.host.listeners.catch_up({client.session.route.database})
    await client.host.settle()
    client.listener.vanishes()
    await client.finish()
    assert client.heard == ["0"] and client.errors == []


@pytest.mark.parametrize("used_later", [False, True])
async def test_its_compute_is_lost_while_it_is_idle(used_later: bool) -> None:
    client = await Client().log_in()
    capturing = asyncio.create_task(client.session.capture())
    await client.host.settle()
    await capturing
    if used_later:
        client.host.last_use = asyncio.get_running_loop().time()
    client.server.vanish()
    await client.finish()
    if used_later:
        assert client.errors == ["57P01"] and state(client.session) is State.ENDED
        return
    assert state(client.session) is State.PARKED
    client.host.epoch += 1
    ready = asyncio.create_task(client.host.listeners.ready(client.host.epoch))
    await client.host.settle()
    await ready
    await client.notify()
    await client.finish()
    assert client.heard == ["0"]


async def test_a_new_backend_that_is_lost_before_the_session_has_it_loses_nothing() -> None:
    client = await parked()
    await client.ask()
    await turns(lambda: client.session.backend is not None and client.own.channels == ["news"])
    await client.notify()
    for _ in range(10):
        await client.others_speak()
    client.own.vanishes()
    await asyncio.sleep(0.06)
    await client.finish()
    assert state(client.session) is State.ATTACHED and client.heard == ["0"]


async def test_a_member_that_ends_is_forgotten() -> None:
    client = await parked()
    client.stream.vanishes()
    await client.notify()
    await client.finish()
    assert client.heard == []
    client.host.listeners.tidy(asyncio.get_running_loop().time() + 60)
    assert client.host.listeners.connections == 0


async def test_a_connection_limit_keeps_it_on_its_backend() -> None:
    client = Client()
    client.session, client.stream = new_session(client.host, user="limited")
    client.session.come_back()
    await client.host.settle()
    client.stream.sends(LISTEN)
    await client.host.settle()
    await client.park()
    await client.finish()
    assert client.session.is_pinned and "connection limit" in client.session.reason


async def test_a_question_that_failed_says_nothing_of_what_it_listens_for() -> None:
    session, _ = await attached(FakeHost())
    session.captured(Captured(held_of([row_of(Kind.CHANNEL, b"news")])))
    assert session.listens
    session.captured(Captured(pins=Pins(("its state could not be read",), is_passing=True)))
    assert session.listens and session.is_pinned
    session.captured(Captured())
    assert not session.listens
