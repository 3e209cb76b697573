"""Walking late comes to the same as walking each buffer when it passes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core import wire
from torpor_proxy.core.exchange import Exchange
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.core.stopwatch import Tally
from torpor_proxy.executor.relay import BUFFER_BYTES_MAX, BUFFERS_MAX, Relay
from torpor_proxy.ports import NOBODY, Sink

CLIENT, SERVER = "client", "server"

READY = wire.ready_for_query()
IN_TRANSACTION = wire.ready_for_query(b"T")
ERROR = wire.report(wire.Severity.ERROR, "22012", "division by zero")
DONE = wire.message(b"C", b"SELECT 1\0")
ROW = wire.message(b"D", b"\0\1\0\0\0\1x")
COPY_IN = wire.message(b"G", b"\0\0\1\0\0")
COPY_DATA, COPY_DONE = wire.message(b"d", b"1\n"), wire.message(b"c")
COPY_FAIL = wire.message(b"f", b"no\0")
PARAMETER = wire.parameter_status("application_name", "x")


def query(sql: bytes) -> bytes:
    return wire.message(b"Q", sql + b"\0")


def extended(sql: str) -> bytes:
    return wire.parse("", sql) + wire.bind("") + wire.execute()


SCENES = {
    "simple": [(CLIENT, query(b"select 1")), (SERVER, ROW + DONE + READY)],
    "in a transaction": [(CLIENT, query(b"begin")), (SERVER, DONE + IN_TRANSACTION)],
    "simple and failing": [(CLIENT, query(b"select 1/0")), (SERVER, ERROR + READY)],
    "sets something": [(CLIENT, query(b"set app.x = 1")), (SERVER, PARAMETER + DONE + READY)],
    "extended": [(CLIENT, extended("select 1") + wire.SYNC), (SERVER, ROW + DONE + READY)],
    "pipeline": [
        (CLIENT, extended("a") + wire.SYNC + extended("b") + wire.SYNC),
        (SERVER, DONE + READY),
        (SERVER, DONE + READY),
    ],
    "pipeline, the first failing": [
        (CLIENT, extended("a") + extended("b")),
        (CLIENT, wire.SYNC + extended("c") + wire.SYNC),
        (SERVER, ERROR + READY),
        (SERVER, DONE + READY),
    ],
    "failing before its sync": [
        (CLIENT, extended("a") + wire.message(b"H")),
        (SERVER, ERROR),
        (CLIENT, extended("skipped") + wire.SYNC),
        (SERVER, READY),
    ],
    "copy": [
        (CLIENT, query(b"copy t from stdin")),
        (SERVER, COPY_IN),
        (CLIENT, COPY_DATA * 3),
        (CLIENT, COPY_DONE),
        (SERVER, DONE + READY),
    ],
    "copy, given up": [
        (CLIENT, query(b"copy t from stdin")),
        (SERVER, COPY_IN),
        (CLIENT, COPY_DATA + COPY_FAIL),
        (SERVER, ERROR + READY),
    ],
    "copy, failing": [
        (CLIENT, query(b"copy t from stdin")),
        (SERVER, COPY_IN),
        (CLIENT, COPY_DATA),
        (SERVER, ERROR + READY),
        (CLIENT, COPY_DATA + COPY_DONE),
    ],
    "extended copy": [
        (CLIENT, extended("copy t from stdin") + wire.SYNC),
        (SERVER, COPY_IN),
        (CLIENT, COPY_DATA + COPY_DONE + wire.SYNC),
        (SERVER, DONE + READY),
    ],
}


class Wire:
    """Where a relay writes to."""

    def __init__(self) -> None:
        self.sink: Sink = NOBODY
        self.written = b""
        self.is_open, self.is_full = True, False

    def write(self, data: bytes) -> None:
        self.written += data

    def write_eof(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


class Told:
    """What a relay tells its session."""

    def __init__(self) -> None:
        self.last_used, self.is_captured = 0.0, True

    def client_ended(self) -> None: ...

    def client_lost(self) -> None: ...

    def backend_ended(self) -> None: ...

    def backend_lost(self) -> None: ...


def state(exchange: Exchange) -> tuple[object, ...]:
    return (
        exchange.is_safe,
        exchange.is_idle,
        exchange.is_over,
        exchange.is_between_server_messages,
        exchange.status,
        exchange.queries,
        exchange.promises,
        exchange.unnamed,
        exchange.in_copy,
        exchange.is_unclear,
    )


@given(st.lists(st.sampled_from(sorted(SCENES)), max_size=12), st.randoms(use_true_random=False))
def test_late_comes_to_the_same(names: list[str], random: object) -> None:
    at_once, late, tally = SessionState(), SessionState(), Tally()
    relay = Relay(Told(), late, Wire(), Wire(), tally)
    for side, data in (step for name in names for step in SCENES[name]):
        if side == CLIENT:
            at_once.exchange.client_sent(data)
            relay.from_client.received(data)
        else:
            at_once.exchange.server_sent(data, at_once.saw_parameter)
            relay.from_server.received(data)
        if random.random() < 0.3:  # type: ignore[attr-defined]
            relay.exchange()
    assert state(relay.exchange()) == state(at_once.exchange)
    assert late.parameters.pairs == at_once.parameters.pairs
    assert late.custom.names == ({"app.x"} if "sets something" in names else set())
    assert tally.totals().count == late.exchange.queries


def test_every_byte_is_passed_on_at_once() -> None:
    told, client, server = Told(), Wire(), Wire()
    relay = Relay(told, SessionState(), client, server, Tally())
    relay.from_client.received(query(b"select 1"))
    relay.from_server.received(ROW)
    assert (server.written, client.written) == (query(b"select 1"), ROW)
    assert not told.is_captured


def test_what_is_kept_is_bounded() -> None:
    relay = Relay(Told(), SessionState(), Wire(), Wire(), Tally())
    for _ in range(3 * BUFFERS_MAX):
        relay.from_client.received(query(b"select 1"))
        relay.from_server.received(ROW)
        assert len(relay.from_client.passed) < BUFFERS_MAX
        assert len(relay.from_server.passed) < BUFFERS_MAX
    relay.from_server.received(wire.message(b"D", bytes(BUFFER_BYTES_MAX)))
    assert relay.from_server.passed == []


def test_a_name_that_is_cut_by_the_buffers_is_found() -> None:
    state = SessionState()
    relay = Relay(Told(), state, Wire(), Wire(), Tally())
    text = query(b"select 1; set app.user_id = 7")
    for place in range(len(text)):
        relay.from_client.received(text[place : place + 1])
        relay.exchange()
    assert "app.user_id" in state.custom.names


def test_garbage_is_noted_and_pins() -> None:
    state = SessionState()
    relay = Relay(Told(), state, Wire(), Wire(), Tally())
    relay.from_client.received(b"\xff\0\0\0\x04")
    assert relay.exchange().is_unclear and not relay.exchange().is_safe
    assert "0xff" in state.fault
