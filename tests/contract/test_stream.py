"""The contract of one connection's bytes: ``Stream`` and ``Sink``, plain and encrypted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import uvloop

from support.agent import until
from support.connections import (
    Both,
    Hesitant,
    OneBuffer,
    Other,
    Recorder,
    over_tcp,
    over_tls,
    over_tls_as_client,
    over_unix,
)
from torpor_proxy.adapters import streams
from torpor_proxy.ports import Stream

QUIET_S = 0.1
"""What has not happened after this long is held up, not slow."""

LOT = random.Random(1).randbytes(5 << 20)
"""More than all buffers between the two sides take."""

PIECE_BYTES = 50_001
"""Not the size of anything that a stream knows."""


@dataclass(slots=True)
class Pair:
    """A stream, its sink, and the other side."""

    stream: Stream
    other: Other
    sink: Recorder = field(default_factory=Recorder)

    def __post_init__(self) -> None:
        self.stream.sink = self.sink

    async def received(self, size: int) -> None:
        await until(lambda: len(self.sink.data) >= size, f"{size} bytes received")

    async def lost(self) -> None:
        await until(lambda: "lost" in self.sink.calls, "the connection is lost")

    async def fill(self) -> bytes:
        """Write until the stream is full; what was written."""
        written = b""
        for piece in pieces(LOT):
            if self.stream.is_full:
                return written
            self.stream.write(piece)
            written += piece
            await asyncio.sleep(0)
        raise AssertionError("never full")


def pieces(data: bytes) -> Iterator[bytes]:
    return (data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES))


Connect = Callable[[Path], Awaitable[Both]]
NewLoop = Callable[[], asyncio.AbstractEventLoop]
LOOPS = ["asyncio", "uvloop"]


def contract(test: Callable[[Pair], Coroutine[None, None, None]]) -> Callable[..., None]:
    """The test, for each adapter on each loop; nothing raised inside the loop goes unseen."""

    @pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=LOOPS)
    @pytest.mark.parametrize("connect", [over_tcp, over_unix, over_tls, over_tls_as_client])
    def each(loop: NewLoop, connect: Connect, tmp_path: Path) -> None:
        raised: list[object] = []
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: raised.append(context))
            runner.run(on_one(connect, tmp_path))
        assert not raised

    async def on_one(connect: Connect, folder: Path) -> None:
        pair = Pair(*await connect(folder))
        try:
            await test(pair)
        finally:
            pair.stream.abort()
            await pair.other.hang_up()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    each.__doc__ = test.__doc__
    return each


# --- the contract ---------------------------------------------------------------------


@contract
async def test_bytes_come_in_order_and_whole_both_ways_at_once(pair: Pair) -> None:
    pair.other.writer.write(LOT)
    for piece in pieces(LOT):
        pair.stream.write(piece)
    assert same(await pair.other.hear(len(LOT)), LOT)
    await pair.received(len(LOT))
    assert same(pair.sink.data, LOT)


@contract
async def test_another_sink_takes_over_between_two_buffers(pair: Pair) -> None:
    sinks: list[OneBuffer] = []
    OneBuffer(pair.stream, sinks)
    pair.other.writer.write(LOT)
    await until(lambda: sum(len(each.data) for each in sinks) >= len(LOT), "everything received")
    assert same(b"".join(each.data for each in sinks), LOT)
    pair.stream.abort()
    await until(lambda: bool(sinks[-1].calls), "the last of them hears of the loss")
    assert sinks[-1].calls == ["lost"]
    assert all(each.calls == ["received"] for each in sinks[:-1])


@contract
async def test_nothing_comes_in_a_pause_and_the_other_side_is_held_up(pair: Pair) -> None:
    pair.stream.pause()
    pair.stream.pause()
    saying = asyncio.create_task(pair.other.say(pieces(LOT)))
    await asyncio.wait({saying}, timeout=QUIET_S)
    assert not saying.done()
    assert not pair.sink.calls
    pair.stream.resume()
    await pair.received(len(LOT))
    await saying
    assert same(pair.sink.data, LOT)


@contract
async def test_a_pause_holds_from_the_very_buffer_on(pair: Pair) -> None:
    pair.sink = pair.stream.sink = Hesitant(pair.stream)
    pair.other.writer.write(LOT)
    await pair.received(len(LOT))
    assert same(pair.sink.data, LOT)


@contract
async def test_resume_without_a_pause_is_nothing(pair: Pair) -> None:
    pair.stream.resume()
    pair.other.writer.write(b"word")
    await pair.received(4)
    assert pair.sink.data == b"word"
    assert pair.sink.calls == ["received"]


@contract
async def test_a_reader_that_does_not_read_makes_it_full(pair: Pair) -> None:
    assert not pair.stream.is_full
    written = await pair.fill()
    assert pair.sink.calls == ["full"]
    assert same(await pair.other.hear(len(written)), written)
    await until(lambda: not pair.stream.is_full, "there is room again")
    assert pair.sink.calls == ["full", "writable"]


@contract
async def test_write_eof_sends_first_what_was_written(pair: Pair) -> None:
    pair.stream.write(LOT)
    pair.stream.write_eof()
    pair.stream.write_eof()
    pair.stream.write(b"too late")
    assert same(await pair.other.hear_all(), LOT)


@contract
async def test_after_the_end_it_may_still_be_written(pair: Pair) -> None:
    """With TLS the other side reads no more, but nothing is lost before it is hung up on."""
    pair.other.writer.write(b"last words")
    pair.other.end()
    await until(lambda: "ended" in pair.sink.calls, "the end is told")
    assert pair.stream.is_open
    pair.stream.write(b"answer")
    if pair.other.writer.can_write_eof():
        assert await pair.other.hear(6) == b"answer"
    pair.stream.close()
    await pair.lost()
    assert pair.sink.data == b"last words"
    assert pair.sink.calls == ["received", "ended", "lost"]


@contract
async def test_the_end_is_told_once(pair: Pair) -> None:
    """Though TLS says it and then TCP, which this other side shuts without waiting."""
    pair.other.end()
    await until(lambda: "ended" in pair.sink.calls, "the end is told")
    await pair.other.hang_up()
    await turns_of_the_loop()
    pair.stream.close()
    await pair.lost()
    assert pair.sink.calls == ["ended", "lost"]


@contract
async def test_close_sends_what_was_written(pair: Pair) -> None:
    pair.stream.write(LOT)
    pair.stream.close()
    assert not pair.stream.is_open
    pair.stream.write(b"too late")
    pair.stream.close()
    assert same(await pair.other.hear_all(), LOT)
    await pair.lost()
    assert pair.sink.calls.count("lost") == 1
    assert pair.sink.calls[-1] == "lost"


@contract
async def test_close_waits_for_a_reader_within_a_bound(pair: Pair) -> None:
    await pair.fill()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "LINGER_SECONDS_MAX", QUIET_S)
        pair.stream.close()
    await pair.lost()
    assert pair.sink.calls == ["full", "lost"]


@contract
async def test_abort_hangs_up_at_once(pair: Pair) -> None:
    """Though the other side has not read what was written, and never will."""
    await pair.fill()
    pair.stream.abort()
    assert not pair.stream.is_open
    await pair.lost()
    assert pair.sink.calls == ["full", "lost"]


@contract
async def test_nothing_comes_after_an_abort(pair: Pair) -> None:
    class Rude(Recorder):
        def received(self, data: bytes) -> None:
            super().received(data)
            pair.stream.abort()
            self.calls.append("aborted")

    pair.sink = pair.stream.sink = Rude()
    pair.other.writer.write(LOT)
    await pair.lost()
    assert pair.sink.calls == ["received", "aborted", "lost"]


@contract
async def test_after_the_loss_every_verb_is_nothing(pair: Pair) -> None:
    await pair.other.hang_up()
    pair.stream.write(b"to nobody")
    pair.stream.abort()
    await pair.lost()
    told = list(pair.sink.calls)
    use_all(pair.stream)
    await turns_of_the_loop()
    assert not pair.stream.is_open
    assert pair.sink.calls == told
    assert told.count("lost") == 1


@contract
async def test_no_verb_raises_before_the_loss_is_noticed(pair: Pair) -> None:
    """The other side has reset the connection while nobody looked."""
    pair.stream.pause()
    await pair.other.reset()
    pair.stream.write_eof()
    use_all(pair.stream)
    await pair.lost()
    assert pair.sink.calls.count("lost") == 1
    assert pair.sink.calls[-1] == "lost"


async def turns_of_the_loop() -> None:
    """As many as it needs to notice what has happened already."""
    for _ in range(3):
        await asyncio.sleep(0)


def use_all(stream: Stream) -> None:
    verbs: list[Callable[[], None]] = [
        lambda: stream.write(b"to nobody"),
        stream.pause,
        stream.resume,
        stream.write_eof,
        stream.close,
        stream.abort,
    ]
    for verb in [*verbs, *verbs]:
        verb()


def same(one: bytes | bytearray, other: bytes) -> bool:
    """Compared here, so that a failure does not print megabytes."""
    return one == other
