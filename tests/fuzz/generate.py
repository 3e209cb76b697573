"""Makes conversations: the same seed, the same conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from random import Random

from fuzz import extended, rarely, words
from fuzz.conversation import CLIENTS, Conversation, Turn
from fuzz.sides import SUPERUSER
from fuzz.texts import LAST, MAY_BREAK_STATEMENTS, STATEMENTS, SUBJECTS
from fuzz.words import COPY_FAIL, FLUSH, SYNC, TERMINATE, Text

TURNS_MAX = 30
SUBJECTS_MAX = 4
CUTS_MAX = 4

PARAMETERS = (
    ("application_name", "fuzz"),
    ("DateStyle", "ISO, YMD"),
    ("client_encoding", "LATIN1"),
    ("extra_float_digits", "2"),
    ("app.user_id", "at startup"),
    ("TimeZone", "Europe/Berlin"),
)

LOCK_TIMEOUT = ("lock_timeout", "300ms")
"""Turns don't overlap: a lock of the other client is never let go while one waits for it."""


def conversation(seed: int) -> Conversation:
    random = Random(seed)
    subjects = random.sample(list(SUBJECTS), random.randint(1, SUBJECTS_MAX))
    sql = [text for subject in subjects for text in SUBJECTS[subject]]
    last: tuple[str, ...] = LAST
    if MAY_BREAK_STATEMENTS.isdisjoint(subjects):
        sql, last = [*sql, STATEMENTS], (*LAST, STATEMENTS)
    turns = list(_synced(_turn(random, sql) for _ in range(random.randint(3, TURNS_MAX))))
    return Conversation(
        (*turns, *_last_turns(last)),
        tuple(random.choices(("app", SUPERUSER), (3, 1))[0] for _ in range(CLIENTS)),
        (LOCK_TIMEOUT, *random.sample(PARAMETERS, random.randint(0, 3))),
    )


def _synced(turns: Iterable[Turn]) -> Iterator[Turn]:
    """With a Sync between a sequence that was only flushed and a simple query.

    Without one Postgres 18 itself loses count in some cases: XX000, "unexpected state STARTED".
    """
    flushed: set[int] = set()
    for turn in turns:
        is_extended = turn.messages[0][:1] in b"PBDEC"
        needs_sync = turn.who in flushed and not is_extended
        yield replace(turn, messages=(SYNC, *turn.messages)) if needs_sync else turn
        flushed.discard(turn.who)
        if turn.messages[-1] == FLUSH:
            flushed.add(turn.who)


def _turn(random: Random, sql: Sequence[Text]) -> Turn:
    kind = random.choices((_simple, _extended, _copy, _call, _stray), (12, 12, 3, 1, 1))[0]
    messages = tuple(kind(random, sql))
    size = sum(map(len, messages))
    cuts = (random.randrange(size + 1) for _ in range(random.randint(0, CUTS_MAX)))
    is_cut = random.random() < 0.5
    return Turn(random.randrange(CLIENTS), messages, tuple(sorted(cuts)) if is_cut else ())


def _simple(random: Random, sql: Sequence[Text]) -> Iterator[bytes]:
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        texts = random.choices(sql, k=random.choice((1, 1, 1, 2)))
        yield words.query(b"; ".join(_as_bytes(text) for text in texts))


def _extended(random: Random, sql: Sequence[Text]) -> Iterator[bytes]:
    parsed = [text for text in sql if not _crashes_described(text)]
    return extended.pipeline(random, parsed)


def _copy(random: Random, _: Sequence[Text]) -> Iterator[bytes]:
    return rarely.copy(random)


def _call(random: Random, _: Sequence[Text]) -> Iterator[bytes]:
    return rarely.call(random)


def _stray(random: Random, _: Sequence[Text]) -> Iterator[bytes]:
    return rarely.stray(random)


def _as_bytes(text: Text) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _crashes_described(text: Text) -> bool:
    """Postgres 18 itself dies of a Describe of a FETCH whose cursor is not there any more."""
    return _as_bytes(text).startswith(b"fetch")


def _last_turns(texts: Sequence[str]) -> Iterator[Turn]:
    """Whatever went on: afterwards both are asked what is left of it, and say goodbye."""
    for who in range(CLIENTS):
        yield Turn(who, (COPY_FAIL + SYNC, words.query("rollback")))
        yield Turn(who, (words.query("set client_encoding to utf8"),))
        yield from (Turn(who, (words.query(text),)) for text in texts)
    yield from (Turn(who, (TERMINATE,)) for who in range(CLIENTS))
