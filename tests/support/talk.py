"""Random talk of a client that knows the protocol and is not always right."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from support.wire_client import query
from torpor_proxy.core import wire

COPY_FROM = "copy talk from stdin"

SQL = (
    "select 1",
    "select * from generate_series(1, 50)",
    "select 1/0",
    "select nonsense",
    "select 1; select 2; select 3",
    "select 1; select 1/0; select 3",
    "begin",
    "commit",
    "rollback",
    "begin; select 1/0",
    "insert into talk values (1)",
    "set application_name to 'talk'",
    "notify talk",
    "copy (select * from generate_series(1, 50)) to stdout",
    "copy (select 1/(n - 10) from generate_series(1, 50) n) to stdout",
    "do $$ begin raise notice 'hm'; end $$",
    "",
)

SYNC, FLUSH, DONE = wire.SYNC, wire.message(b"H"), wire.message(b"c")

FAIL = wire.message(b"f", b"changed my mind\0")


def line(text: bytes) -> bytes:
    return wire.message(b"d", text)


def turns(random: Random) -> Iterator[bytes]:
    """What the client sends, a turn at a time; it may read in between, or not."""
    while True:
        yield random.choices(
            (simple, pipeline, copy_simple, copy_extended, call, stray), (4, 8, 3, 2, 1, 1)
        )[0](random)


def simple(random: Random) -> bytes:
    return b"".join(query(random.choice(SQL)) for _ in range(random.randint(1, 3)))


def pipeline(random: Random) -> bytes:
    """Extended messages; a Sync after each, after some, or only at the end."""
    parts = []
    for _ in range(random.randint(1, 4)):
        name = random.choice(("", "", "s"))
        steps = [
            wire.close_statement(name) if name else b"",
            wire.parse(name, random.choice(SQL)),
            wire.bind(name if random.random() < 0.95 else "unknown"),
            wire.message(b"D", b"P\0"),
            wire.execute(),
            random.choice((b"", b"", FLUSH)),
            random.choice((SYNC, SYNC, b"")),
        ]
        parts += [step for step in steps if random.random() < 0.97]
    return b"".join(parts) + (SYNC if random.random() < 0.98 else b"")


def copy_simple(random: Random) -> bytes:
    copies = random.choice((1, 1, 2))
    return query("; ".join([COPY_FROM] * copies)) + b"".join(
        data(random, has_sync=False) for _ in range(copies)
    )


def copy_extended(random: Random) -> bytes:
    started = wire.parse("", COPY_FROM) + wire.bind("") + wire.execute()
    is_libpq = random.random() < 0.2
    return started + SYNC * is_libpq + data(random, has_sync=True) + SYNC


def data(random: Random, *, has_sync: bool) -> bytes:
    """Lines that fit the table or do not, and an end."""
    lines = [line(random.choice((b"1\n", b"2\n3\n", b"4", b"\n5\n"))) for _ in range(3)]
    if random.random() < 0.3:
        lines.insert(random.randint(0, 3), line(b"not a number\n"))
    if has_sync and random.random() < 0.1:
        lines.insert(random.randint(0, 3), SYNC)
    if random.random() < 0.2:
        lines.insert(random.randint(0, 3), FLUSH)
    return b"".join(lines) + random.choice((DONE, DONE, DONE, FAIL))


def call(random: Random) -> bytes:
    """``int4pl(1, 2)``, or a function that there is not."""
    oid = random.choice((177, 177, 999_999)).to_bytes(4, "big")
    one, two = ((4).to_bytes(4, "big") + n.to_bytes(4, "big") for n in (1, 2))
    return wire.message(b"F", oid + b"\0\1\0\1" + b"\0\2" + one + two + b"\0\1")


def stray(random: Random) -> bytes:
    """What a client sends that has lost its place; the server passes over most of it."""
    return random.choice((SYNC, FLUSH, DONE, FAIL, line(b"1\n"), SYNC + SYNC, wire.execute()))


def ending(marker: str) -> bytes:
    """Whatever went on: after the row of the marker's query everything is answered."""
    return FAIL + SYNC + query(f"rollback; select '{marker}'")
