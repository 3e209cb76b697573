"""A probe says what it did, and a stranger who gets in is never overlooked."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import psycopg
import pytest

from load import probes
from load.judge import LET_IN

ANSWER = b"E"


class Door(socketserver.ThreadingTCPServer):
    """Keeps what each visitor said first, answers it, and hangs up."""

    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.heard: list[bytes] = []


class Visit(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, Door)
        self.server.heard.append(self.request.recv(1024))
        self.request.sendall(ANSWER)


@pytest.fixture
def door() -> Iterator[Door]:
    with Door() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (probes.http, b"GET / HTTP/1.1"),
        (probes.tls_and_gone, bytes.fromhex("00000008 04d2162f")),
        (probes.cancel, bytes.fromhex("00000010 04d2162e")),
    ],
)
def test_what_is_said_is_what_a_scanner_says(
    door: Door, probe: Callable[[str], str], said: bytes
) -> None:
    assert probe(_uri(door)) == probe.__name__.replace("_", " ").replace("cancel", "cancel request")
    assert door.heard[0].startswith(said)


def test_a_port_scan_says_nothing(door: Door) -> None:
    assert probes.port_scan(_uri(door)) == "port scan"


@pytest.mark.parametrize("probe", [probes.wrong_password, probes.unknown_role, probes.superuser])
def test_who_is_let_in_says_so(
    monkeypatch: pytest.MonkeyPatch, probe: Callable[[str], str]
) -> None:
    uri = "postgresql://app:right@127.0.0.1:1/app"
    asked: list[str] = []

    def open_door(conninfo: str, **_: object) -> SimpleNamespace:
        asked.append(conninfo)
        return SimpleNamespace(close=lambda: None)

    monkeypatch.setattr(psycopg, "connect", open_door)
    assert probe(uri) == LET_IN
    assert "right" not in asked[0]


def test_who_is_refused_is_not_let_in(door: Door) -> None:
    assert probes.wrong_password(_uri(door)) == "wrong password"


def _uri(door: Door) -> str:
    return f"postgresql://app:right@127.0.0.1:{door.server_address[1]}/app?sslmode=disable"
