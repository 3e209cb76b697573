"""One connection of the control channel: both sides may ask and tell at any time.

Answers may come in any order. Whoever awaits one goes on before the next line is taken: what was
told behind an answer is heard after it. When the connection is lost, every open question fails with
Unavailable (its outcome is unknown) and ``closed`` is set. Nothing here reconnects: see
:mod:`torpor_channel.client`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from torpor_api.failures import Failure, InvalidRequest, Unavailable
from torpor_api.messages import Event, Message, Request
from torpor_channel import wire

log = logging.getLogger(__name__)

ReplyT = TypeVar("ReplyT", bound=Message)

OPEN_QUESTIONS_MAX = 10_000
"""Asked here and not answered yet; more means that the other side has stalled."""

HANDLERS_RUNNING_MAX = 10_000
"""Asked by the other side and not answered yet; the reader waits behind this bound."""

UNREAD_BYTES_MAX = 64 << 20
"""Told or answered and not read by the other side; a connection behind this bound is given up."""


class ConnectionLost(Unavailable):
    """The connection is gone: whether a question that was sent had any effect is unknown."""


class NoAnswer(Unavailable):
    """In the time that the asker had for it; a question may have been carried out all the same."""


Handler = Callable[["Peer", Any], Awaitable[Message | None]]
"""Answers a request with its reply type, or takes an event and returns None."""

Handlers = Mapping[type[Message], Handler]


class Peer:
    """The other side of one connection."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handlers: Handlers,
        name: str | None = None,
    ) -> None:
        """``name``: of the component, as its certificate says; None for one on this machine."""
        self.name = name
        self._reader = reader
        self._writer = writer
        self._handlers = handlers
        self._questions: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_id = 0
        self._running: set[asyncio.Task[None]] = set()
        self._may_handle = asyncio.Semaphore(HANDLERS_RUNNING_MAX)
        self.closed = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    async def ask(self, request: Request[ReplyT], *, timeout_s: float) -> ReplyT:
        """The answer. Raises the Failure that the other side named, or Unavailable."""
        if self.closed.is_set():
            raise ConnectionLost("the connection is closed")
        if len(self._questions) >= OPEN_QUESTIONS_MAX:
            raise Unavailable(f"{OPEN_QUESTIONS_MAX} questions are open already")
        self._last_id += 1
        id = self._last_id
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._questions[id] = answer
        try:
            self._send(wire.encode_ask(id, request))
            async with asyncio.timeout(timeout_s):
                body = await answer
        except TimeoutError:
            raise NoAnswer(f"no answer to {type(request).__name__} in {timeout_s:g} s") from None
        finally:
            del self._questions[id]
        try:
            return request.reply.model_validate(body, extra="ignore")  # type: ignore[return-value]
        except ValidationError as error:
            raise Unavailable(
                f"the answer to {type(request).__name__} can't be read: {str(error)[:200]}"
            ) from error

    def tell(self, event: Event) -> None:
        """Send and forget; nothing happens on a closed connection."""
        self._send(wire.encode_tell(event))

    async def close(self) -> None:
        """Hang up and wait until everything of this connection has ended."""
        self._task.cancel()
        try:
            await asyncio.gather(self._task, return_exceptions=True)
        finally:
            # A task that was cancelled before its first step has ended nothing itself.
            await self._end()

    def _send(self, line: bytes) -> None:
        if self.closed.is_set() or self._writer.transport.is_closing():
            return
        self._writer.write(line)
        if self._writer.transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            log.warning("peer_does_not_read", extra={"unread_bytes_max": UNREAD_BYTES_MAX})
            self._writer.transport.abort()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                await self._take(wire.decode(line))
        except (wire.Malformed, ValueError, OSError) as error:
            # ValueError: a line longer than the reader's limit.
            log.warning("channel_broken", extra={"reason": str(error)[:200]})
        finally:
            await self._end()

    async def _take(self, line: wire.Line) -> None:
        match line:
            case wire.Ask(id, request):
                await self._may_handle.acquire()
                task = asyncio.create_task(self._answer(id, request))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
            case wire.Tell(event):
                await self._hear(event)
            case wire.Answer(id, body):
                question = self._questions.get(id)
                if question is not None and not question.done():
                    question.set_result(body)
                    await _let_it_go_on()
            case wire.Fail(id, failure):
                question = self._questions.get(id)
                if question is not None and not question.done():
                    question.set_exception(failure)
                    await _let_it_go_on()
            case wire.Unreadable(None, name, reason):
                log.warning("message_unreadable", extra={"message_type": name, "reason": reason})
            case wire.Unreadable(int(id), name, reason):
                self._send(wire.encode_fail(id, InvalidRequest(f"{name} {reason}")))

    async def _answer(self, id: int, request: Request[Any]) -> None:
        try:
            handler = self._handlers.get(type(request))
            if handler is None:
                raise InvalidRequest(f"{type(request).__name__} is not for this component")
            reply = await handler(self, request)
            assert isinstance(reply, request.reply), f"{type(request).__name__}: {reply!r}"
            line = wire.encode_answer(id, reply)
            if len(line) > wire.LINE_BYTES_MAX:
                # The other side would take it for a broken connection, and ask again on a new one.
                raise InvalidRequest(
                    f"the answer to {type(request).__name__} is {len(line)} bytes long; "
                    f"at most {wire.LINE_BYTES_MAX} go over the control channel"
                )
            self._send(line)
        except Failure as failure:
            self._send(wire.encode_fail(id, failure))
        except Exception:
            log.exception("handler_defect", extra={"message_type": type(request).__name__})
            self._send(wire.encode_fail(id, Unavailable("internal error; see the log")))
        finally:
            self._may_handle.release()

    async def _hear(self, event: Event) -> None:
        handler = self._handlers.get(type(event))
        if handler is None:
            log.warning("message_unhandled", extra={"message_type": type(event).__name__})
            return
        try:
            await handler(self, event)
        except Exception:
            log.exception("handler_defect", extra={"message_type": type(event).__name__})

    async def _end(self) -> None:
        self.closed.set()
        self._fail_questions()
        await self._end_handlers()
        self._writer.close()

    def _fail_questions(self) -> None:
        for question in self._questions.values():
            if not question.done():
                question.set_exception(
                    ConnectionLost("the connection was lost; the outcome is unknown")
                )

    async def _end_handlers(self) -> None:
        # Work that was asked for goes on to its end only where its handler shields itself.
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)


async def _let_it_go_on() -> None:
    """Whoever waits for a future that was just set has its turn before this returns."""
    await asyncio.sleep(0)
