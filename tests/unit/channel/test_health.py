"""What a kubelet's probes are told, and that nobody can hold the listener up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from support.ports import free_address
from torpor_channel import health
from torpor_channel.address import TcpAddress
from torpor_channel.health import HEAD_BYTES_MAX, Health, answering, response


class Ready:
    """Says what it is told to say."""

    reason = ""

    def __call__(self) -> str:
        return self.reason


def _status(head: bytes, reason: str = "") -> int:
    return int(response(head, lambda: reason).split(b" ")[1])


@pytest.mark.parametrize(
    ("path", "reason", "status"),
    [
        ("/healthz", "", 200),
        ("/healthz", "draining", 200),
        ("/readyz", "", 200),
        ("/readyz?verbose", "", 200),
        ("/readyz", "draining", 503),
        ("/", "", 404),
        ("/metrics/..", "", 404),
    ],
)
def test_a_path_has_its_status(path: str, reason: str, status: int) -> None:
    assert _status(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), reason) == status


def test_not_ready_says_why() -> None:
    answer = response(b"GET /readyz HTTP/1.1\r\n\r\n", lambda: "draining")
    assert answer.endswith(b"\r\n\r\ndraining\n")
    assert b"Content-Length: 9\r\n" in answer


def test_head_has_no_body() -> None:
    assert response(b"HEAD /healthz HTTP/1.1\r\n\r\n", str).endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "head", [b"POST /healthz HTTP/1.1\r\n\r\n", b"\r\n\r\n", b"\x16\x03\r\n\r\n"]
)
def test_anything_else_is_refused(head: bytes) -> None:
    assert _status(head) == 400


@pytest.fixture
async def listener() -> AsyncIterator[Health]:
    made = Health(Ready())
    await made.listen(TcpAddress("127.0.0.1", 0))
    yield made
    await made.close()


async def _ask(listener: Health, sent: bytes) -> bytes:
    """All that is answered, until the other side hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(sent)
    try:
        async with asyncio.timeout(5):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.transport.abort()


async def test_it_answers_and_hangs_up(listener: Health) -> None:
    assert (await _ask(listener, b"GET /readyz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")


async def test_a_head_without_end_is_not_read_for_ever(listener: Health) -> None:
    assert await _ask(listener, b"x" * (HEAD_BYTES_MAX * 2)) == b""


async def test_a_question_that_does_not_come_ends(
    listener: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "QUESTION_SECONDS_MAX", 0.05)
    assert await _ask(listener, b"GET /heal") == b""


async def test_beyond_the_limit_nobody_is_answered_and_then_again(
    listener: Health, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "CONNECTIONS_MAX", 1)
    _, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    assert await _ask(listener, b"GET /healthz HTTP/1.1\r\n\r\n") == b""
    writer.write(b"GET /healthz HTTP/1.1\r\n\r\n")
    writer.write_eof()
    async with asyncio.timeout(5):
        while not await _ask(listener, b"GET /healthz HTTP/1.1\r\n\r\n"):
            await asyncio.sleep(0.01)
    writer.transport.abort()


async def test_closing_hangs_up_on_everybody(listener: Health) -> None:
    assert await _ask(listener, b"GET /healthz HTTP/1.1\r\n\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"GET")
    await asyncio.sleep(0.01)  # For it to be accepted; without that it is reset, which is as well.
    await listener.close()
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    writer.transport.abort()


async def test_a_component_that_is_asked_for_none_has_none() -> None:
    async with answering(None, str):
        pass


async def test_a_component_answers_while_it_runs() -> None:
    address = free_address()
    async with answering(address, str):
        _, writer = await asyncio.open_connection(address.host, address.port)
        writer.transport.abort()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(address.host, address.port)


@pytest.mark.parametrize(
    "header", ["Accept: text/x", "ACCEPT:text/x ", "Host: x\r\naccept: text/x"]
)
def test_metrics_are_told_in_the_format_that_is_accepted(header: str) -> None:
    asked = f"GET /metrics HTTP/1.1\r\n{header}\r\n\r\n".encode()
    assert response(asked, str).startswith(b"HTTP/1.1 404 ")
    answer = response(asked, str, lambda accept: (b"torpor_x 1.0\n", accept))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ") and body == b"torpor_x 1.0\n"
    assert b"Content-Type: text/x\r\n" in head


def test_who_says_nothing_of_formats_accepts_any() -> None:
    asked = b"GET /metrics HTTP/1.1\r\nAcceptable: x\r\n\r\n"
    assert b"Content-Type: all\r\n" in response(asked, str, lambda accept: (b"", accept or "all"))
