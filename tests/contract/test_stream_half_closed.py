"""The contract of ``Stream.write_eof``: what the other side answers behind our end is heard.

The other side is a thread with a blocking socket: in asyncio's own TLS the end of one direction is
that of both.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import random
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from support.agent import until
from support.connections import ANSWER_S_MAX, Recorder, plain_stream, small_sockets
from torpor_cli.local import tls
from torpor_proxy.adapters.certificate import Certificate
from torpor_proxy.adapters.tls import TlsStream
from torpor_proxy.ports import EncryptedStream, Stream

QUESTION, ANSWER = b"question", random.Random(1).randbytes(1 << 20)

KINDS = ["tcp", "unix", "tls", "tls as client"]
LOOPS: list[Callable[[], asyncio.AbstractEventLoop]] = [
    asyncio.new_event_loop,
    uvloop.new_event_loop,
]


@dataclass(frozen=True, slots=True)
class Wrapping:
    """How the two sides agree on TLS."""

    stream: EncryptedStream
    theirs: ssl.SSLContext
    is_their_side_server: bool


def wrapping(kind: str, folder: Path) -> Wrapping | None:
    if "tls" not in kind:
        return None
    made = tls.ensure(folder, "localhost", dt.datetime.now(dt.UTC))
    trusting = ssl.create_default_context(cafile=str(made.ca))
    if kind == "tls":
        return Wrapping(Certificate(made.certificate, made.key).new_stream(), trusting, False)
    trusting.check_hostname = False
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    theirs.load_cert_chain(made.certificate, made.key)
    return Wrapping(TlsStream(trusting, server_side=False), theirs, True)


def answers_behind_the_end(theirs: socket.socket, wrapped: Wrapping | None) -> bytes:
    """In its thread; what was heard up to the end."""
    theirs.settimeout(ANSWER_S_MAX)
    with contextlib.ExitStack() as closing:
        channel = theirs
        if wrapped is not None:
            is_server = wrapped.is_their_side_server
            name = None if is_server else "localhost"
            channel = wrapped.theirs.wrap_socket(
                theirs, server_side=is_server, server_hostname=name, suppress_ragged_eofs=False
            )
        closing.enter_context(channel)
        heard = b""
        while data := channel.recv(1 << 16):
            heard += data
        channel.sendall(ANSWER)
        if isinstance(channel, ssl.SSLSocket):
            channel.unwrap()
        return heard


Talk = Callable[[Stream, Recorder], Awaitable[None]]


async def heard_all(sink: Recorder) -> None:
    await until(lambda: "ended" in sink.calls, "the other side's end is told")
    assert bytes(sink.data) == ANSWER, f"{len(sink.data)} bytes of {len(ANSWER)}"


async def in_one_breath(stream: Stream, sink: Recorder) -> None:
    stream.write(QUESTION)
    stream.write_eof()
    stream.write(b"too late")
    stream.write_eof()
    await heard_all(sink)


async def while_it_is_held_up(stream: Stream, sink: Recorder) -> None:
    stream.pause()
    await in_pieces(stream, sink)


async def in_pieces(stream: Stream, sink: Recorder) -> None:
    stream.write(QUESTION)
    stream.write_eof()
    stream.pause()
    await asyncio.sleep(0)
    stream.resume()
    await heard_all(sink)


@pytest.mark.parametrize("talk", [in_one_breath, in_pieces, while_it_is_held_up])
@pytest.mark.parametrize("new_loop", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_behind_our_end_is_heard(
    kind: str,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    talk: Talk,
    tmp_path: Path,
) -> None:
    raised: list[object] = []

    async def play() -> None:
        ours, theirs = small_sockets(is_unix=kind == "unix")
        wrapped = wrapping(kind, tmp_path)
        stream: Stream = await plain_stream(ours)
        stream.pause()  # Before the other side can say anything.
        other = asyncio.create_task(asyncio.to_thread(answers_behind_the_end, theirs, wrapped))
        if wrapped is not None:
            await wrapped.stream.take_over(stream, b"")
            stream = wrapped.stream
        stream.sink = sink = Recorder()
        stream.resume()
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                await talk(stream, sink)
                stream.close()
                assert await other == QUESTION
                await until(lambda: sink.calls[-1] == "lost", "it is hung up on")
        finally:
            stream.abort()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.get_loop().set_exception_handler(lambda _, context: raised.append(context))
        runner.run(play())
    assert not raised
