"""What the proxy does on a session's own backend between two words of its client."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from torpor_proxy.core import capture, listening, restore_words, results, wire
from torpor_proxy.core.aside import TRANSACTION, Frame
from torpor_proxy.core.broken import is_end_of_waiting
from torpor_proxy.core.capture import UNKNOWN, Captured, Catalog
from torpor_proxy.core.held import STATEMENTS, UNSEEN, Entry
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.restore import Restore, RestoreFailed
from torpor_proxy.core.restore_words import Script
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.executor.conversation import Conversation, Messages, ServerRefused
from torpor_proxy.ports import NOBODY, BackendLost, Stream


@dataclass(slots=True)
class Catalogs:
    """What is known of one database's catalog; all its sessions share it."""

    of_now: Catalog = UNKNOWN


FAILED = (BackendLost, ServerRefused)
"""The ways in which a visit ends with the backend being of no more use."""

__all__ = [
    "FAILED",
    "OwnWords",
    "RestoreFailed",
    "hang_up",
    "leave",
    "read_state",
    "remain",
    "restore",
]


async def read_state(
    conversation: Conversation,
    user: str,
    state: SessionState,
    catalogs: Catalogs,
    encoding: str,
) -> Captured:
    """All that the session would lose. Raises one of FAILED; no other harm is done.

    ``encoding``: that texts are sent in.
    """
    found = await _read_all(conversation, user, state, catalogs)
    statements = found.held.of(*STATEMENTS)
    if not statements:
        return found
    known = results.carried_over(found.held, found.prepared, state.held, state.prepared)
    new = [entry for entry, result in zip(statements, known, strict=True) if result is None]
    told = await _describe(conversation, new, encoding) if new else []
    if told is None:
        return found.pinned_by_lock()
    rest = iter(told)
    whole = found.held.with_results(next(rest) if one is None else one for one in known)
    return replace(found, held=whole)


async def _describe(
    conversation: Conversation, statements: list[Entry], encoding: str
) -> list[bytes] | None:
    """What columns each returns, as far as that can be known. None: a table is locked."""
    told: list[bytes] = []
    for _ in range(results.FAILURES_MAX):
        question = results.question(statements[len(told) :], encoding)
        messages = await _framed(conversation, TRANSACTION, question)
        told += results.told(messages)
        error = restore_words.error_of(messages)
        if error is None:
            break
        if is_end_of_waiting(error):
            return None
        told.append(results.of_failed(error))
        if len(told) == len(statements):
            break
    return told + [UNSEEN] * (len(statements) - len(told))


async def _read_all(
    conversation: Conversation, user: str, state: SessionState, catalogs: Catalogs
) -> Captured:
    # Others of its database learn of the catalog at the same time: what was asked by counts.
    asked_by = catalogs.of_now
    found = await _ask(conversation, user, state, asked_by)
    if found.pins.is_passing or found.snapshot == asked_by.snapshot:
        return found
    if found.snapshot != catalogs.of_now.snapshot:
        answer = await _asked(conversation, capture.catalog_question())
        catalogs.of_now = capture.read_catalog(answer)
    known = catalogs.of_now
    if known.names <= asked_by.names and known.pins == asked_by.pins:
        return found
    return await _ask(conversation, user, state, known)


async def _ask(
    conversation: Conversation, user: str, state: SessionState, catalog: Catalog
) -> Captured:
    hurried = state.is_hurried
    unnamed = state.exchange.unnamed
    is_asked = unnamed and not results.fetches(unnamed[wire.HEAD_BYTES + 1 :])
    asks_unnamed = bool(is_asked) and not state.exchange.unnamed_is_sure
    question = capture.question(
        state.custom, catalog, asks_unnamed=asks_unnamed, is_hurried=hurried
    )
    readies = capture.answers(asks_unnamed=asks_unnamed)
    messages = await _asked(conversation, question, readies)
    mixed = state.escapes_are_mixed
    found = capture.read(
        messages, user, state.custom, catalog, escapes_are_mixed=mixed, is_hurried=hurried
    )
    if not found.has_temporary_schema:
        return found
    there = await _asked(conversation, capture.temporary_question())
    return found.pinned_by(capture.read_temporary(there))


async def _asked(conversation: Conversation, question: bytes, readies: int = 1) -> Messages:
    messages = await conversation.ask(question, readies)
    if messages[-1] != (b"Z", b"I"):
        await conversation.ask(capture.withdrawal())
    return messages


async def restore(conversation: Conversation, wanted: Restore) -> None:
    """Put back what is held. Raises RestoreFailed, or one of FAILED."""
    script = wanted.first()
    messages = await _say(conversation, script)
    while wanted.leaves_out(script, messages):
        script = wanted.first()
        messages = await _say(conversation, script)
    if not wanted.read_first(script, messages):
        script = wanted.careful()
        wanted.read_careful(script, await _say(conversation, script))
    if wanted.broken:
        await _framed(conversation, TRANSACTION, wanted.stand_ins())


async def _say(conversation: Conversation, script: Script) -> Messages:
    return await conversation.ask(script.data, len(script.parts)) if script else []


async def restore_again(
    conversation: Conversation, wanted: Restore, frame: Frame, names: Collection[bytes]
) -> None:
    """Try once more some of what could not be put back. Raises one of FAILED."""
    standing = await _framed(conversation, frame, restore_words.STANDING)
    if restore_words.error_of(standing) is None:  # A timeout of its client's, or its cancel.
        wanted.read_standing(standing)
    tried = wanted.in_turn(names)
    for name in tried:
        wanted.read_trial(name, await _framed(conversation, frame, wanted.trial(name)))
    if not wanted.broken.keys().isdisjoint(tried):
        await _framed(conversation, frame, wanted.stand_ins())


async def _framed(conversation: Conversation, frame: Frame, data: bytes) -> Messages:
    messages = await conversation.ask(frame.around(data))
    if restore_words.error_of(messages) is not None:
        await conversation.ask(frame.end + wire.SYNC)
    return messages


async def leave(conversation: Conversation, mark: str) -> str:
    """Send the mark between two ways of the session's notifications; or why it was not sent.

    Raises one of FAILED.
    """
    return _words_of_error(await _asked(conversation, listening.leave(mark)))


async def remain(conversation: Conversation) -> None:
    """Take back what ``leave`` leaves behind. Raises one of FAILED."""
    await _asked(conversation, listening.remain())


def _words_of_error(messages: Messages) -> str:
    return (listening.error_of(messages) or {}).get("M", "")


class OwnWords:
    """What a fresh backend says on its own account while a session is put back on it."""

    def __init__(self, told: Pairs, takes: Callable[[bytes], bool]) -> None:
        """``takes``: whether a notification has somebody to go to."""
        self._parameters = dict(told)
        self._takes = takes

    def heard(self, message: bytes) -> None:
        """One whole message."""
        if message.startswith(b"S"):
            name, value = wire.pair(message[wire.HEAD_BYTES :])
            self._parameters[name] = value
        else:
            self._takes(message)

    @property
    def parameters(self) -> Pairs:
        """What it reports by now."""
        return tuple(self._parameters.items())


def hang_up(backend: Stream) -> None:
    """As a client does that is done. Who waits there for an answer is told that none comes."""
    sink, backend.sink = backend.sink, NOBODY
    backend.write(wire.TERMINATE)
    backend.close()
    sink.lost()
