"""Sequences of the extended query protocol."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from random import Random

from fuzz import words
from fuzz.words import FLUSH, SYNC, Text

STATEMENTS = ("", "", "", "s", "t", "p", 'a"b', "Ä", "x" * 70)
"""Names; some are those of SQL's PREPARE as well, one is longer than Postgres keeps."""

PORTALS = ("", "", "", "c", "d")

INT4, TEXT, UNKNOWN = 23, 25, 0

Value = bytes | None


def _int4(value: int) -> bytes:
    return struct.pack(">i", value)


WITH_PARAMETERS: tuple[tuple[str, Sequence[int], Sequence[Value], Sequence[int]], ...] = (
    ("select $1::int + 1", (), (b"41",), ()),
    ("select $1::int + 1", (INT4,), (_int4(41),), (1,)),
    ("select $1", (), (b"any",), ()),
    ("select $1, $2", (INT4, TEXT), (b"1", None), (0, 1)),
    ("select $1, $2", (INT4, UNKNOWN), (_int4(7), b"u"), (1, 0)),
    ("select * from numbers where n > $1 order by n", (), (b"2",), ()),
    ("select $1::mood", (), (b"good",), ()),
    ("select $1::mood, tell($2)", (), (b"bad", b"told"), ()),
    ("insert into numbers values ($1, $2) returning n", (), (b"11", b"eleven"), ()),
    ("select set_config($1, $2, false)", (), (b"app.bound", b"b"), ()),
    ("select set_config($1, $2, false)", (TEXT, TEXT), (b"work_mem", b"8MB"), (1, 1)),
    ("select set_config($1, $2, true)", (), (b"app.bound", b"local"), ()),
    ("select current_setting($1, true)", (), (b"app.bound",), ()),
    ("select pg_notify($1, $2)", (), (b"news", b"bound"), ()),
    ("select tell($1)", (), (b"bound",), ()),
    ("select 10 / $1::int", (), (b"0",), ()),
    ("select $1 from nowhere", (), (b"1",), ()),
    ("select * from changing", (), (), ()),
    ("select b, a from changing where a > $1", (INT4,), (b"0",), ()),
)


def pipeline(random: Random, sql: Sequence[Text]) -> Iterator[bytes]:
    """A few units; each may be synced, flushed, or neither. The last message is SYNC or FLUSH."""
    for _ in range(random.randint(1, 4)):
        unit = random.choices((_whole, with_parameters, again, suspended), (6, 4, 3, 1))[0]
        yield from (
            step for step in unit(random, sql) if step[:1] == b"C" or random.random() < 0.97
        )
        yield from random.choices(((SYNC,), (), (FLUSH,), (SYNC, SYNC)), (6, 3, 2, 1))[0]
    yield SYNC if random.random() < 0.9 else FLUSH


def _whole(random: Random, sql: Sequence[Text]) -> Iterator[bytes]:
    """From Parse to Execute."""
    name, portal = random.choice(STATEMENTS), random.choice(PORTALS)
    if name and random.random() < 0.5:
        yield words.close(b"S", name)
    yield words.parse(name, random.choice(sql))
    if random.random() < 0.3:
        yield from random.choice(((SYNC,), (FLUSH,), (words.describe(b"S", name), SYNC)))
    yield words.bind(portal, name, results=random.choice(((), (), (1,), (0,))))
    yield from _run(random, portal)


def with_parameters(random: Random, _: Sequence[Text]) -> Iterator[bytes]:
    number, portal = random.randrange(len(WITH_PARAMETERS)), random.choice(PORTALS)
    sql, types, values, formats = WITH_PARAMETERS[number]
    name = random.choice(("", _name_of(number)))
    if name and random.random() < 0.7:
        yield words.close(b"S", name)
    yield words.parse(name, sql, types)
    if random.random() < 0.4:
        yield words.describe(b"S", name)
    if random.random() < 0.3:
        yield SYNC
    if random.random() < 0.1:
        values = values[:-1]
    yield words.bind(portal, name, values, formats, random.choice(((), (1,), (0, 1))))
    yield from _run(random, portal)


def again(random: Random, sql: Sequence[Text]) -> Iterator[bytes]:
    """A statement that may have been prepared before, mostly with the parameters that it takes."""
    name, portal = random.choice(STATEMENTS), random.choice(PORTALS)
    values: Sequence[Value] = ()
    formats: Sequence[int] = ()
    if random.random() < 0.5:
        number = random.randrange(len(WITH_PARAMETERS))
        name, (_, _, values, formats) = _name_of(number), WITH_PARAMETERS[number]
    if random.random() < 0.3:
        yield words.describe(b"S", name)
    if random.random() < 0.1:
        values = (*values, b"more")
    yield words.bind(portal, name, values, formats)
    yield from _run(random, portal)
    if random.random() < 0.3:
        yield words.close(b"S", name)


def _name_of(number: int) -> str:
    return f"v{number}"


def suspended(random: Random, sql: Sequence[Text]) -> Iterator[bytes]:
    """A portal that is read in parts; it lives as long as its transaction."""
    portal = random.choice(PORTALS)
    rows = "select n, word from numbers order by n"
    yield words.parse("", random.choice((rows, rows, random.choice(sql))))
    yield words.bind(portal, "")
    for _ in range(random.randint(1, 4)):
        yield words.execute(portal, 2)
        yield random.choice((b"", FLUSH, SYNC))


def _run(random: Random, portal: str) -> Iterator[bytes]:
    if random.random() < 0.5:
        yield words.describe(b"P", portal)
    yield words.execute(portal, random.choice((0, 0, 0, 1)))
    if random.random() < 0.1:
        yield words.execute(portal)
    if random.random() < 0.1:
        yield words.close(b"P", portal)
