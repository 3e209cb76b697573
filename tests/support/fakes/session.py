"""A session's two connections and its endpoint; the test plays the client and the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from torpor_api.failures import Failure, Unavailable
from torpor_api.identity import SessionId
from torpor_proxy.core import wire
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.refusals import CannotWake, Refusal
from torpor_proxy.core.routing import Route
from torpor_proxy.core.stopwatch import Tally
from torpor_proxy.core.tallies import Tallies
from torpor_proxy.executor.arrival import Arrival, Steps
from torpor_proxy.executor.conversation import Backend
from torpor_proxy.executor.host import Identity, State
from torpor_proxy.executor.listener import Surroundings
from torpor_proxy.executor.listeners import Listeners
from torpor_proxy.executor.session import Session
from torpor_proxy.executor.visit import Catalogs
from torpor_proxy.ports import NOBODY, BackendLost, Sink
from torpor_proxy.settings import Settings

TURNS_MAX = 1000

PARAMETERS = (("server_version", "18.0"),)


class FakeStream:
    """Remembers what was written; ``sink`` is fed by the test."""

    def __init__(self) -> None:
        self.sink: Sink = NOBODY
        self.is_open = True
        self.is_full = False
        self.is_paused = False
        self.has_eof = False
        self.written = b""

    def write(self, data: bytes) -> None:
        if self.is_open:
            self.written += data

    def write_eof(self) -> None:
        self.has_eof = True

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self) -> None:
        self.is_open = False

    abort = close

    # --- what the test does -----------------------------------------------------------------

    def sends(self, data: bytes) -> None:
        assert not self.is_paused, "TCP holds it up"
        self.sink.received(data)

    def vanishes(self) -> None:
        self.is_open = False
        sink, self.sink = self.sink, NOBODY
        sink.lost()

    def fills(self, is_full: bool) -> None:
        self.is_full = is_full
        self.sink.writable(not is_full)

    def taken(self) -> list[tuple[bytes, bytes]]:
        """The messages that were written since the last time."""
        found, rest = wire.split(self.written)
        self.written = rest
        return found

    def kinds(self) -> bytes:
        return b"".join(kind for kind, _ in self.taken())


class FakeHost:
    """An endpoint that is awake. A session that arrives gets the next backend."""

    def __init__(self, **settings: float) -> None:
        self.settings = replace(Settings(), **settings)  # type: ignore[arg-type]
        self.answers_keepalives = True
        self.told_as: dict[int, int] = {}
        self.tally = Tally()
        self.tallies = Tallies()
        self.failure: Exception | None = None
        """Raised instead of an arrival."""
        self.backends: list[FakeStream] = []
        self.cancelled: list[Backend] = []
        self.logins: list[Pairs] = []
        self._catalogs = Catalogs()
        self.last_use = 0.0
        self.last_use_elsewhere = 0.0
        self.is_gate_open = True
        self.listeners = Listeners(
            Surroundings(
                "shop",
                self.connect,
                self.is_open,
                self.used_at,
                self.others_used_at,
                {},
                asyncio.ensure_future,
            )
        )
        self.moves: list[tuple[State, State]] = []

    async def arrive(self, identity: Identity, defaults: Pairs) -> Arrival:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        self.backends.append(FakeStream())
        number = len(self.backends)
        return Arrival(
            Backend(self.backends[-1], number, 100 + number, b"key", PARAMETERS), Steps()
        )

    async def connect(self, epoch: int, user: str, dbname: str, parameters: Pairs) -> Backend:
        raise BackendLost("nobody hears for others here")

    def is_limited(self, role: str) -> bool:
        return role == "limited"

    def is_open(self, epoch: int) -> bool:
        return self.is_gate_open

    def used_at(self, dbname: str) -> float:
        return self.last_use

    async def others_used_at(self) -> float:
        await asyncio.sleep(0)
        return self.last_use_elsewhere

    def catalogs(self, dbname: str) -> Catalogs:
        return self._catalogs

    def logged_in(self, route: Route, told: Pairs) -> None:
        self.logins.append(told)

    @property
    def waits_for_safe_points(self) -> bool:
        return False

    def at_safe_point(self, session: Session) -> None:
        raise AssertionError("nobody waits for it")

    def why_not(self) -> Failure:
        return Unavailable("it takes its time")

    def too_late(self) -> Refusal:
        return CannotWake("shop", self.why_not())

    def new_key(self, session: Session, process_id: int) -> tuple[int, bytes]:
        return process_id, b"made"

    def cancel(self, backend: Backend) -> asyncio.Future[None]:
        self.cancelled.append(backend)
        done = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def moved(self, session: Session, before: State, after: State) -> None:
        self.moves.append((before, after))

    @property
    def backend(self) -> FakeStream:
        return self.backends[-1]


def new_session(host: FakeHost, user: str = "app") -> tuple[Session, FakeStream]:
    """Parked, its client waits for the first ReadyForQuery."""
    client = FakeStream()
    identity = Identity(SessionId(1), Route("shop", user, "app"), "127.0.0.1:1", False)
    return Session(identity, client, host), client


async def attached(host: FakeHost) -> tuple[Session, FakeStream]:
    session, client = new_session(host)
    session.come_back()
    await turns(lambda: session.state is State.ATTACHED)
    assert client.kinds() == b"SKZ"
    return session, client


async def turns(holds: Callable[[], bool]) -> None:
    """Of the loop, until something is so."""
    for _ in range(TURNS_MAX):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it does not come to that")


# --- what is said, and how far it has come ---------------------------------------------

QUERY = wire.message(b"Q", b"select 2\0")

ANSWER = wire.message(b"C", b"SELECT 1\0") + wire.ready_for_query()

NOTHING_FOUND = wire.message(b"C", b"COMMIT\0") + wire.ready_for_query()

NOTIFICATION = wire.message(b"A", b"\0\0\0\7news\0hello\0")


def row(*columns: str) -> bytes:
    """Of the answer to a capture."""
    columns += ("",) * (4 - len(columns))
    parts = (column.encode() for column in columns)
    body = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return wire.message(b"D", b"\0\4" + body)


def dying(kind: str, sqlstate: str, routine: str) -> bytes:
    fields = f"SFATAL\0VFATAL\0C{sqlstate}\0Mterminating\0R{routine}\0\0"
    return wire.message(kind.encode(), fields.encode())


CRASH = dying("N", "57P02", "quickdie")


def state(session: Session) -> State:
    return session.state


async def asked(host: FakeHost, session: Session) -> asyncio.Task[None]:
    """The session's question is on its way."""
    host.backend.taken()
    capturing = asyncio.create_task(session.capture())
    await turns(lambda: host.backend.written.endswith(wire.SYNC))
    host.backend.taken()
    return capturing


async def captured(host: FakeHost) -> tuple[Session, FakeStream]:
    session, client = await attached(host)
    capturing = await asked(host, session)
    host.backend.sends(NOTHING_FOUND)
    await capturing
    assert session.can_be_let_go
    return session, client


def error_of(client: FakeStream) -> str:
    """SQLSTATE of the one error that the client was told."""
    (body,) = [body for kind, body in client.taken() if kind == b"E"]
    return wire.report_fields(body)["C"]
