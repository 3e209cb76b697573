"""Answers a kubelet's probes: ``/healthz`` while the process turns, ``/readyz`` while it can serve.

And Prometheus, at ``/metrics``, where the component has any. Plain HTTP, GET and HEAD only, a
connection for each question: whoever may reach the port learns some words and numbers and can ask
for nothing to be done. Not ready is 503 with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from torpor_channel.address import TcpAddress

HEAD_BYTES_MAX = 8 << 10
"""Of a question; a probe's has some hundred bytes."""

QUESTION_SECONDS_MAX = 5.0
"""For the whole question to come, and for the answer to be read: longer than any probe waits."""

CONNECTIONS_MAX = 64
"""At the same time. Beyond it nobody is answered, which costs probes and no session."""

_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 503: "Service Unavailable"}

PLAIN = "text/plain; charset=utf-8"

Answer = tuple[int, bytes, str]
"""The status, the body, and its type."""

AskMetrics = Callable[[str], tuple[bytes, str]]
"""The metrics and their type, for whoever has sent this header ``Accept``."""


class Health:
    """One listener; ``why_not_ready`` says nothing while there is nothing to say."""

    def __init__(self, why_not_ready: Callable[[], str], metrics: AskMetrics | None = None) -> None:
        self._why_not_ready = why_not_ready
        self._metrics = metrics
        self._listener: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The one that it has got, where it was asked for any."""
        assert self._listener is not None, "listen first"
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def listen(self, address: TcpAddress) -> None:
        self._listener = await asyncio.start_server(
            self._accept, address.host, address.port, limit=HEAD_BYTES_MAX
        )

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._open) >= CONNECTIONS_MAX:
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._open.add(task)
        task.add_done_callback(lambda ended: self._hang_up(ended, writer))

    def _hang_up(self, ended: asyncio.Task[None], writer: asyncio.StreamWriter) -> None:
        """Here, because a task that is cancelled before its first step never comes to its end."""
        self._open.discard(ended)
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who asks too slowly, or too much, or hangs up meanwhile, is not told anything.
        with contextlib.suppress(
            OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            async with asyncio.timeout(QUESTION_SECONDS_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(response(head, self._why_not_ready, self._metrics))
                await writer.drain()
                writer.close()
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def answering(
    address: TcpAddress | None,
    why_not_ready: Callable[[], str],
    metrics: AskMetrics | None = None,
) -> AsyncIterator[None]:
    """While a component runs; nothing where it is not asked for."""
    if address is None:
        yield
        return
    health = Health(why_not_ready, metrics)
    await health.listen(address)
    try:
        yield
    finally:
        await health.close()


def response(
    head: bytes, why_not_ready: Callable[[], str], metrics: AskMetrics | None = None
) -> bytes:
    """The whole answer to a question."""
    method, _, rest = head.partition(b" ")
    path = rest.split(b" ", 1)[0].partition(b"?")[0]
    accept = _header(head, b"accept")
    status, body, type = _answer(method, path, accept, why_not_ready, metrics)
    lines = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"Content-Type: {type}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if method == b"HEAD" else body)


def _answer(
    method: bytes,
    path: bytes,
    accept: str,
    why_not_ready: Callable[[], str],
    metrics: AskMetrics | None,
) -> Answer:
    if method not in (b"GET", b"HEAD"):
        return 400, b"GET and HEAD are answered\n", PLAIN
    if path == b"/healthz":
        return 200, b"ok\n", PLAIN
    if path == b"/readyz":
        reason = why_not_ready()
        return (503, f"{reason}\n".encode(), PLAIN) if reason else (200, b"ok\n", PLAIN)
    if path == b"/metrics" and metrics is not None:
        return 200, *metrics(accept)
    return 404, b"there are /healthz, /readyz and /metrics\n", PLAIN


def _header(head: bytes, name: bytes) -> str:
    """Its value, or the empty text."""
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.strip().lower() == name:
            return value.strip().decode("latin-1")
    return ""
