"""Prepared statements that could not be put back, and the error that their next use shall see.

Pure. A table may be gone that a statement reads, or its result may have changed. The session's own
Postgres would say so when the statement is used. The new one only says that there is no such
statement (26000), so that answer is replaced by the one that was kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from struct import Struct

from torpor_proxy.core import wire
from torpor_proxy.core.wire import HEAD_BYTES

HELD_BYTES_MAX = 64 << 10
"""Of an ErrorResponse in parts; a longer one is no complaint about a statement's name."""

_NAME_BYTES_MAX = 63
"""Postgres keeps so much of a name and shows it as it was asked for."""

_ERROR = ord("E")
_NO_SUCH_STATEMENT = b"26000"
_QUOTE = rb"""["'`\x80-\xff]"""
"""Words are translated, so the quotes are "these", «these» or 『these』, in any encoding."""

_WORD_BEGINS, _WORD_ENDS = rb"(?<![\w$\x80-\xff])", rb"(?![\w$\x80-\xff])"

_DEALLOCATE = re.compile(
    rb"""\s*deallocate\s+(?:prepare\s+)?(?:"(?P<quoted>(?:[^"]|"")+)"|(?P<plain>[\w$\x80-\xff]+))[\s;]*""",
    re.IGNORECASE,
)

_head = Struct(">BI").unpack_from

RESULT_CHANGED = b"".join(
    field + b"\0"
    for field in (
        b"SERROR",
        b"VERROR",
        b"C0A000",
        b"Mcached plan must not change result type",
        b"Fplancache.c",
        b"L866",
        b"RRevalidateCachedQuery",
        b"",
    )
)
"""The body for a statement that returns other columns than before. Drivers know it by its routine,
and prepare the statement anew."""


_ENDS_OF_WAITING = (b"C55P03", b"C57014", b"C40P01")
"""A timeout, a cancel request or a deadlock while a statement waits for its table."""


def remembered(body: bytes) -> bytes:
    """What is kept of the error that the attempt to put a statement back got.

    Postgres points to the place in its text that is wrong, and to none where it only has to wait.
    """
    fields = [field for field in body.split(b"\0") if field]
    if not any(field in _ENDS_OF_WAITING for field in fields):
        return body
    return b"".join(field + b"\0" for field in fields if field[:1] != b"P") + b"\0"


def mentions(data: bytes, names: Collection[bytes]) -> bool:
    """Whether a client's bytes could use one of the statements, by the protocol or by EXECUTE.

    ``data`` begins where a message does. One that has not come whole could. To try a statement
    again may mean to wait for a lock, so it is not done for every word that has its letters.
    """
    try:
        messages, rest = wire.split(data)
    except ValueError:
        return True
    return bool(rest) or any(_mentions(kind, body, names) for kind, body in messages)


def _mentions(kind: bytes, body: bytes, names: Collection[bytes]) -> bool:
    match kind:
        case b"B":
            return _kept(body.partition(b"\0")[2]) in names
        case b"D" | b"C":
            return body[:1] == b"S" and _kept(body[1:]) in names
        case b"Q" | b"P":
            return _says(body, names)
        case _:
            return False


def _kept(name: bytes) -> bytes:
    """What Postgres keeps of a name, which ends at a zero byte."""
    return name.partition(b"\0")[0][:_NAME_BYTES_MAX]


def _says(text: bytes, names: Iterable[bytes]) -> bool:
    """Whether a text of SQL has one of the names as a word."""
    folded = text.lower()
    spelled = {name.replace(b'"', b'""') for name in names}
    words = (_WORD_BEGINS + re.escape(name) + _WORD_ENDS for name in spelled)
    return any(re.search(word, text) or re.search(word, folded) for word in words)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Statements that a client's bytes end."""

    by_protocol: frozenset[bytes] = frozenset()
    """By Close, which does not mind that there is none."""
    by_sql: frozenset[bytes] = frozenset()
    """By DEALLOCATE, which does."""


NOTHING_GIVEN_UP = GivenUp()


def given_up(data: bytes, names: Collection[bytes]) -> GivenUp:
    """Which of the statements these messages end; ``data`` begins where a message does.

    DEALLOCATE is read only where it is all of a query.
    """
    try:
        messages, _ = wire.split(data)
    except ValueError:
        return NOTHING_GIVEN_UP
    closed = {body[1:-1] for kind, body in messages if kind == b"C" and body[:1] == b"S"}
    texts = (body[:-1] for kind, body in messages if kind == b"Q")
    found = (_DEALLOCATE.fullmatch(text) for text in texts)
    ended: set[bytes] = set()
    for match in filter(None, found):
        quoted, plain = match["quoted"], match["plain"]
        if quoted is not None:
            ended.add(quoted.replace(b'""', b'"'))
        elif plain.lower() == b"all":
            ended.update(names)
        else:
            ended.add(plain.lower())
    return GivenUp(frozenset(closed.intersection(names)), frozenset(ended.intersection(names)))


class ErrorFilter:
    """Walks the server's stream from a message's begin and replaces what would be wrong."""

    __slots__ = ("_broken", "_held", "_left")

    def __init__(self, broken: Mapping[bytes, bytes]) -> None:
        self._broken = broken
        """The body of the error to be told, by the statement's name. Asked at every error."""
        self._held = b""
        self._left = 0
        """Of the message that is passing."""

    @property
    def is_between_messages(self) -> bool:
        """Whether nothing is held and the next byte begins a message."""
        return not self._held and not self._left

    def feed(self, data: bytes) -> bytes:
        """What the client shall hear now. Only an error, or the head of a message, waits."""
        data, self._held = self._held + data, b""
        position, self._left = self._left, 0
        passed, begin, size = [], 0, len(data)
        while position + HEAD_BYTES <= size:
            kind, length = _head(data, position)
            end = position + 1 + length
            if kind == _ERROR and length <= HELD_BYTES_MAX:
                if end > size:
                    break
                if (instead := self._instead(data[position + HEAD_BYTES : end])) is not None:
                    passed += [data[begin:position], wire.message(b"E", instead)]
                    begin = end
            position = end
        passed.append(data[begin:position])
        if position < size:
            self._held = data[position:]
        else:
            self._left = position - size
        return b"".join(passed)

    def _instead(self, body: bytes) -> bytes | None:
        fields = {field[:1]: field[1:] for field in body.split(b"\0")}
        if fields.get(b"C") != _NO_SUCH_STATEMENT:
            return None
        words = fields.get(b"M", b"")
        return next((error for name, error in self._broken.items() if _names(words, name)), None)


def _names(words: bytes, name: bytes) -> bool:
    close = b"" if len(name) >= _NAME_BYTES_MAX else b" ?" + _QUOTE
    return re.search(_QUOTE + b" ?" + re.escape(name) + close, words) is not None
