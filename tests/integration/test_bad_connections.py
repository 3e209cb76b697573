"""Connections without a conversation: a port scan, and peers that are gone without a word.

Nobody is woken by them, nobody else's session notices, and none of them is kept for ever.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.up import Database, Up, a_database, running_up, until
from support.wire_client import WireClient, connected, logged_in, query
from torpor_proxy.core import wire

KNOCKS = 1000

THREADS = 8

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"

TCP_REPAIR = 19
"""Linux: a socket in this mode is closed without a packet, as when its machine loses power."""

LARGE = query("select repeat('x', 1000) from generate_series(1, 200000)")

IS_OPEN = ("01", "08")
"""Established, and hung up on by the peer alone; as ``/proc/net/tcp`` has it."""


@pytest.fixture(scope="module")
def up_for_strangers() -> Iterator[Up]:
    """Notices soon what it would notice late."""
    environment = {"TORPOR_PROXY_LOGIN_TIMEOUT_S": "1", "TORPOR_PROXY_TCP_KEEPALIVE_IDLE_S": "1"}
    with running_up(**environment) as up:
        yield up
        assert "defect" not in up.log_of("proxy"), up.log_of("proxy")


@pytest.fixture(scope="module")
def place(up_for_strangers: Up) -> Iterator[Database]:
    with a_database(up_for_strangers) as database:
        yield database


@pytest.fixture
def sleeper(up_for_strangers: Up) -> Iterator[Database]:
    """Sleeps, and is not woken."""
    with a_database(up_for_strangers) as database:
        database.fall_asleep()
        epoch = database.epoch
        yield database
        assert database.is_asleep and database.epoch == epoch


@pytest.fixture
def other(place: Database) -> Iterator[WireClient]:
    """A session in the middle of its work."""
    with logged_in(place) as client:
        client.query("begin; create temporary table mine as select 7 as n")
        yield client
        assert client.query("select n from mine") == [(b"7",)]


def kept(up: Up) -> dict[int, int]:
    """Of all connections that the proxy has not ended: the client's port, bytes on their way."""
    found = {}
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues = line.split()[:5]
        if local == f"0100007F:{up.port:04X}" and state in IS_OPEN:
            found[int(remote.partition(":")[2], 16)] = int(queues.partition(":")[0], 16)
    return found


def ended_while_others_work(up: Up, port: int, other: WireClient) -> None:
    def is_ended() -> bool:
        assert other.query("select n from mine") == [(b"7",)]
        return port not in kept(up)

    until(is_ended, "the proxy ends it")


# --- a port scan ---------------------------------------------------------------------------------


def knock(up: Up, data: bytes, *, with_reset: bool) -> None:
    with connected(up) as client:
        if with_reset:
            linger = struct.pack("ii", 1, 0)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        client.send(data)


@pytest.mark.parametrize("data", [b"", b"\0", SSL_REQUEST])
def test_a_port_scan(place: Database, sleeper: Database, other: WireClient, data: bytes) -> None:
    """Connections that are closed at once, in both ways that there are."""
    up, before = place.up, kept(place.up).keys()
    with ThreadPoolExecutor(THREADS) as threads:
        scan = [
            threads.submit(knock, up, data, with_reset=bool(number % 2)) for number in range(KNOCKS)
        ]
        answered = 0
        while not all(each.done() for each in scan):
            assert other.query("select n from mine") == [(b"7",)]
            answered += 1
    for each in scan:
        each.result()
    assert answered > 0
    until(lambda: kept(up).keys() <= before, "none of them is kept")


# --- a peer that is alive and says nothing -------------------------------------------------------

STOPS = """
import os, signal, socket, sys
client = socket.create_connection((sys.argv[1], int(sys.argv[2])))
client.sendall(bytes.fromhex(sys.argv[3]))
print(client.getsockname()[1], flush=True)
signal.pause()
"""

STOPS_IN_A_SESSION = """
import psycopg, sys
with psycopg.connect(sys.argv[1], autocommit=True) as client:
    for _ in range(2):
        print(client.execute("select 'here'").fetchone()[0], flush=True)
        sys.stdin.readline()
"""


@contextlib.contextmanager
def running(program: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.mark.parametrize("end", [0, 1, 7, None])
def test_a_client_that_freezes_in_the_handshake_is_ended_at_the_deadline(
    place: Database, sleeper: Database, other: WireClient, end: int | None
) -> None:
    """Its kernel goes on to acknowledge everything, so no keep-alive would find it."""
    up = place.up
    packet = wire.startup((("user", "app"), ("options", f"endpoint={sleeper.name}")))
    with running(STOPS, up.host, str(up.port), packet[:end].hex()) as client:
        port = int(said(client))
        client.send_signal(signal.SIGSTOP)
        ended_while_others_work(up, port, other)


def test_a_session_whose_client_freezes_sleeps_and_goes_on(place: Database) -> None:
    with running(STOPS_IN_A_SESSION, place.uri()) as client, logged_in(place) as other:
        assert said(client) == "here"
        client.send_signal(signal.SIGSTOP)
        assert other.query("select 'served'") == [(b"served",)]
        place.fall_asleep()
        assert other.query("select 'served'") == [(b"served",)]
        client.send_signal(signal.SIGCONT)
        assert client.stdin is not None
        client.stdin.write("\n")
        client.stdin.flush()
        assert said(client) == "here"


# --- a peer that is gone without a word ----------------------------------------------------------


def vanish(client: WireClient) -> int:
    """Close it without FIN or RST; the port it had."""
    port: int = client.socket.getsockname()[1]
    try:
        client.socket.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except PermissionError:
        pytest.skip("needs the right to administer the network")
    client.socket.close()
    return port


@pytest.mark.parametrize("data", [b"", b"\0\0\0\x50\0\3", SSL_REQUEST])
def test_a_half_open_connection_in_the_handshake(
    place: Database, sleeper: Database, other: WireClient, data: bytes
) -> None:
    up = place.up
    with connected(up) as client:
        client.send(data)
        port = vanish(client)
    ended_while_others_work(up, port, other)


@pytest.mark.parametrize("is_idle", [True, False])
def test_a_half_open_session(
    place: Database, sleeper: Database, other: WireClient, is_idle: bool
) -> None:
    """Found by the keep-alive where nothing is sent to it, and its backend ends with it."""
    backends = "select count(*) from pg_stat_activity where application_name = 'half-open'"
    with logged_in(place, application_name="half-open") as client:
        client.query("create temporary table scratch (n int)")
        if is_idle:
            port = client.socket.getsockname()[1]
            until(lambda: kept(place.up)[port] == 0, "it has acknowledged everything")
        else:
            client.send(LARGE)
        port = vanish(client)
    ended_while_others_work(place.up, port, other)
    other.query("commit")
    until(lambda: other.query(backends) == [(b"0",)], "its backend has ended")


def test_a_half_open_session_that_sleeps_wakes_nobody(up_for_strangers: Up) -> None:
    with a_database(up_for_strangers) as database, logged_in(database) as client:
        client.query("select 1")
        database.fall_asleep()
        epoch = database.epoch
        port = vanish(client)
        until(lambda: port not in kept(up_for_strangers), "it is found")
        assert database.is_asleep and database.epoch == epoch


def test_a_client_that_has_ended_its_side_gets_its_answers(place: Database) -> None:
    with logged_in(place) as client:
        client.send(query(f"select pg_sleep(0.2), repeat('x', {5 << 20})"))
        client.socket.shutdown(socket.SHUT_WR)
        assert [kind for kind, _ in client.until(b"Z")] == [b"T", b"D", b"C", b"Z"]
        assert client.rest() == b""
