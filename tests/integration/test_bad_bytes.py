"""Bytes that are no Postgres client's: each gets a clear end, and no other session notices."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.up import Database, Up, a_database, running_up, until
from support.wire_client import WireClient, connected, error_of, logged_in, query
from torpor_proxy.core import wire

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"

LOGIN_SECONDS_MAX = 3.0
"""Enough for those who do log in, on a machine that has other things to do."""


HALF_WAY = (b"", b"\0", b"\0\0\0\x50\0\3", SSL_REQUEST, b"\x16", b"GE")
"""What has been said when nothing more comes."""


@pytest.fixture(scope="module")
def up_for_strangers() -> Iterator[Up]:
    """Does not wait for long, and has little room."""
    environment = {
        "TORPOR_PROXY_LOGIN_TIMEOUT_S": str(LOGIN_SECONDS_MAX),
        "TORPOR_PROXY_OPENING_MAX": "50",
    }
    with running_up(**environment) as up:
        yield up


@pytest.fixture(scope="module")
def place(up_for_strangers: Up) -> Iterator[Database]:
    with a_database(up_for_strangers) as database:
        yield database


@pytest.fixture(autouse=True)
def other(place: Database) -> Iterator[WireClient]:
    """A session that was there before, and for which nothing changes."""
    with logged_in(place) as client:
        client.query("create temporary table mine as select 7 as n")
        epoch = place.epoch
        yield client
        assert client.query("select n from mine") == [(b"7",)]
        assert place.epoch == epoch
    up = place.up
    assert "defect" not in up.log_of("proxy"), up.log_of("proxy")


def first_words(up: Up, data: bytes) -> bytes:
    """What the proxy says before it hangs up."""
    with connected(up) as client:
        client.send(data)
        return client.rest()


# --- before the startup packet -----------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 3, 7, 10_001, 2**31 - 1, 2**31, 2**32 - 1])
def test_lengths_that_can_not_be(place: Database, length: int) -> None:
    said, _ = wire.split(first_words(place.up, struct.pack(">I", length) + b"\0\3\0\0rest"))
    fields = error_of(said)
    assert fields["C"] == "08P01" and f"startup packet: {length}" in fields["M"]


def test_a_startup_packet_over_ten_kilobytes(place: Database) -> None:
    packet = wire.startup((("user", "x" * 20_000),))
    fields = error_of(wire.split(first_words(place.up, packet))[0])
    assert fields["C"] == "08P01" and "allowed are 8 to 10000" in fields["M"]


def test_a_startup_packet_of_just_ten_kilobytes_is_none_of_the_bad(place: Database) -> None:
    with connected(place.up) as client:
        client.log_in(place, application_name="x" * 9_800)
        assert client.query("select 1") == [(b"1",)]


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"\0\0\0\x09\0\2\0\0\0", "unsupported frontend protocol 2.0"),
        (b"\0\0\0\x09\0\4\0\0\0", "unsupported frontend protocol 4.0"),
        (b"\0\0\0\x08\0\3\0\0", "expected terminator"),
        (b"\0\0\0\x0e\0\3\0\0user\0\0", "no name or no value"),
        (b"\0\0\0\x08\x04\xd2\0\1", "request 1234.1"),
        (b"\0\0\0\x0f\0\3\0\0a\0\xff\xfe\0\0\0", "invalid startup packet"),
    ],
)
def test_packets_that_are_none(place: Database, packet: bytes, words: str) -> None:
    fields = error_of(wire.split(first_words(place.up, packet))[0])
    assert fields["C"] == "08P01" and words in fields["M"]


def test_http(place: Database) -> None:
    said = first_words(place.up, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 400 ") and b"speaks the Postgres protocol, not HTTP" in said


@pytest.mark.parametrize("seed", range(20))
def test_random_bytes_before_the_startup_packet(place: Database, seed: int) -> None:
    noise = random.Random(seed).randbytes(random.Random(seed).randint(1, 5000))
    with connected(place.up) as client:
        client.send(noise)
        with contextlib.suppress(OSError):
            client.socket.shutdown(socket.SHUT_WR)
        client.rest()


def test_requests_for_encryption_without_an_end(place: Database) -> None:
    with connected(place.up) as client:
        for _ in range(3):
            client.send(b"\0\0\0\x08\x04\xd2\x16\x30")
            assert client.take(1) == b"N"
        assert "too many requests" in error_of([client.message()])["M"]


# --- TLS ---------------------------------------------------------------------------------------


def test_plaintext_behind_the_request_for_tls(place: Database) -> None:
    packet = SSL_REQUEST + wire.startup((("user", "app"),))
    fields = error_of(wire.split(first_words(place.up, packet))[0])
    assert "unencrypted data after SSL request" in fields["M"]


@pytest.mark.parametrize(
    "garbage",
    [b"hello", b"\x16\x03\x01\xff\xff" + b"\xff" * 100, b"\x16\x03\x01\0\5hello", b"\0" * 64],
)
def test_garbage_instead_of_a_handshake(place: Database, garbage: bytes) -> None:
    with connected(place.up) as client:
        client.send(SSL_REQUEST)
        assert client.take(1) == b"S"
        client.send(garbage)
        client.socket.shutdown(socket.SHUT_WR)
        assert client.rest()[:1] != b"E"


def test_garbage_as_direct_tls(place: Database) -> None:
    assert first_words(place.up, b"\x16\x03\x01\0\5hello" + b"\xff" * 100)[:1] != b"E"


# --- clients that take their time ----------------------------------------------------------------


def test_clients_that_stop_half_way_are_hung_up_on(place: Database) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(place.up)) for _ in HALF_WAY]
        for client, begin in zip(clients, HALF_WAY, strict=True):
            client.send(begin)
        for client, begin in zip(clients, HALF_WAY, strict=True):
            assert client.rest() in (b"", b"S"), begin


def test_a_slow_loris(place: Database) -> None:
    """A byte at a time does not gain it more time."""
    packet = wire.startup((("user", "app"), ("options", f"endpoint={place.name}")) * 50)
    with connected(place.up) as client:
        started = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for byte in packet * 100:
                client.send(bytes((byte,)))
                time.sleep(0.05)
                if time.monotonic() - started > 20 * LOGIN_SECONDS_MAX:
                    pytest.fail("it was served all the time")


def test_more_strangers_than_there_is_room_for(place: Database) -> None:
    """They say nothing, in a burst; a client that does is served all the same."""
    with contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(connected(place.up))
        with logged_in(place) as client:
            assert client.query("select 'served'") == [(b"served",)]


# --- after the login -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"Q\0\0\0\0",
        b"Q\0\0\0\3",
        b"Q\x80\0\0\0",
        b"Q\xff\xff\xff\xff",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
        b"Z\0\0\0\5I",
        b"\xff" * 64,
    ],
)
def test_garbage_after_the_login(place: Database, garbage: bytes) -> None:
    with logged_in(place) as client:
        client.query("select 1")
        client.send(garbage)
        said, _ = wire.split(client.rest())
        assert error_of(said)["C"] == "08P01"


def test_garbage_in_the_middle_of_a_copy_and_of_a_pipeline(place: Database) -> None:
    for begin in (query("copy mine from stdin"), wire.parse("", "select 1") + wire.bind("")):
        with logged_in(place) as client:
            client.query("create temporary table mine (n int)")
            client.send(begin + b"\0\0\0\0\0")
            said, _ = wire.split(client.rest())
            assert error_of(said[-1:])["C"] == "08P01"


def test_garbage_from_a_parked_session_wakes_nobody(up_for_strangers: Up) -> None:
    with a_database(up_for_strangers) as database, logged_in(database) as client:
        client.query("select 1")
        database.fall_asleep()
        epoch = database.epoch
        client.send(b"\xff" * 64)
        assert error_of(wire.split(client.rest())[0])["C"] == "08P01"
        assert database.is_asleep and database.epoch == epoch


def test_a_client_that_vanishes_in_the_middle_of_a_message(place: Database) -> None:
    for size in (1, 4, 5, 6, 20):
        with logged_in(place) as client:
            client.send(query("select 'never seen to its end'")[:size])


# --- clients that do not read ------------------------------------------------------------------

LARGE = query("select repeat('x', 1000) from generate_series(1, 200000)")
"""200 MB."""

BUFFERED_BYTES_MAX = 20 << 20


def memory_of(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def test_a_client_that_stops_reading_costs_little_and_disturbs_nobody(
    place: Database, other: WireClient
) -> None:
    proxy = place.up.component("proxy")
    before = memory_of(proxy)
    with contextlib.ExitStack() as stack:
        deaf = [stack.enter_context(logged_in(place)) for _ in range(5)]
        for client in deaf:
            client.send(LARGE)
        for _ in range(50):
            assert other.query("select n from mine") == [(b"7",)]
        assert memory_of(proxy) - before < BUFFERED_BYTES_MAX
        place.refuses_to_sleep("is running a query")
        # What it did not read is all there when it reads on.
        rows = sum(1 for kind, _ in deaf[0].until(b"Z") if kind == b"D")
        assert rows == 200_000


def test_tcp_finds_clients_that_have_vanished(place: Database) -> None:
    """SO_KEEPALIVE is on for each client's connection; the kernel shows its timer."""
    with logged_in(place) as client:
        port = client.socket.getsockname()[1]
        wanted = f":{place.up.port:04X} 0100007F:{port:04X} "

        def timer() -> str:
            lines = Path("/proc/net/tcp").read_text().splitlines()
            (line,) = [line for line in lines if wanted in line]
            return line.split()[5].partition(":")[0]

        until(lambda: timer() == "02", "the keep-alive timer runs")


def test_a_client_that_vanishes_without_a_word_while_it_is_served(
    place: Database, other: WireClient
) -> None:
    sessions = "select count(*) from pg_stat_activity where backend_type = 'client backend'"
    (before,) = other.query(sessions)
    with contextlib.ExitStack() as stack:
        for _ in range(5):
            client = stack.enter_context(logged_in(place))
            client.send(LARGE)
            linger = struct.pack("ii", 1, 0)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    until(lambda: other.query(sessions) <= [before], "their backends have ended")
