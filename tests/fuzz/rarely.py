"""COPY, function calls, and messages at the wrong time."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from random import Random

from fuzz import words
from fuzz.words import COPY_DONE, COPY_FAIL, FLUSH, SYNC

INTO = "copy numbers from stdin"

OUT = (
    "copy (select * from generate_series(1, 50)) to stdout",
    "copy numbers to stdout with (format csv, header)",
    "copy numbers to stdout with (format binary)",
    "copy (select 1/(n - 10) from generate_series(1, 50) n) to stdout",
)

INT4PL, SET_CONFIG, PG_NOTIFY, TRY_ADVISORY_LOCK, NO_FUNCTION = 177, 2078, 3036, 2882, 999_999


def copy(random: Random) -> Iterator[bytes]:
    """By either protocol; the end may be missing, and what comes in between may be wrong."""
    sql = random.choice((INTO, INTO, INTO, *OUT, f"{INTO}; select 5", f"select 4; {INTO}"))
    is_simple = random.random() < 0.5
    if is_simple:
        yield words.query(sql)
    else:
        yield words.parse("", sql)
        yield words.bind("", "")
        yield words.execute()
        yield from [SYNC] * (random.random() < 0.1)
    if "stdin" in sql:
        yield from _data(random)
    yield from [SYNC] * (not is_simple or random.random() < 0.2)


def _data(random: Random) -> Iterator[bytes]:
    lines = (b"21\tone\n", b"22\ttwo\n23\tthree\n", b"24", b"\tfour\n", b"1\ttwice\n", b"no\tint\n")
    for line in random.sample(lines, random.randint(0, 4)):
        yield words.copy_data(line)
        if random.random() < 0.08:
            yield random.choice((FLUSH, SYNC, words.query("select 'in a copy'"), words.execute()))
    yield from random.choices(((COPY_DONE,), (COPY_FAIL,), ()), (8, 3, 1))[0]


def call(random: Random) -> Iterator[bytes]:
    one, two = struct.pack(">i", 1), struct.pack(">i", 2)
    key = struct.pack(">q", 1)
    yield random.choice(
        (
            words.call(INT4PL, (one, two), is_binary=True),
            words.call(INT4PL, (b"20", b"22"), is_binary=False),
            words.call(INT4PL, (b"20",), is_binary=False),
            words.call(INT4PL, (None, two), is_binary=True),
            words.call(NO_FUNCTION, (), is_binary=True),
            words.call(SET_CONFIG, (b"app.called", b"c", b"f"), is_binary=False),
            words.call(SET_CONFIG, (b"work_mem", b"11MB", b"f"), is_binary=False),
            words.call(PG_NOTIFY, (b"news", b"called"), is_binary=False),
            words.call(TRY_ADVISORY_LOCK, (key,), is_binary=True),
        )
    )


def stray(random: Random) -> Iterator[bytes]:
    """Of a client that has lost its place."""
    for _ in range(random.randint(1, 3)):
        yield random.choice(
            (
                SYNC,
                FLUSH,
                COPY_DONE,
                COPY_FAIL,
                words.copy_data(b"1\n"),
                words.execute(),
                words.bind("", "nothing"),
                words.describe(b"P", "nothing"),
                words.close(b"S", "nothing"),
                words.describe(b"S", ""),
            )
        )
    yield SYNC
