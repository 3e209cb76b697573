"""The main job on real data, in under two minutes: databases sleep, their clients stay connected.

Starts Torpor in a state folder of its own, loads two databases, uses them with psql, psycopg and
asyncpg, lets both sleep under connected clients, wakes each with its client's next query, and shows
where the time of each resume went, beside a bare Postgres start on the same data.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import asyncpg
import psycopg

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "loadtests"))

from rig.postgres import copy_of  # noqa: E402
from rig.table import SCALE, fill  # noqa: E402
from rig.torpor import Torpor  # noqa: E402
from torpor_cli.output import table  # noqa: E402

MANIFEST = ROOT / "manifests" / "samples" / "demo.yaml"
STATE = Path(tempfile.gettempdir()) / f"torpor-demo-{os.geteuid()}"
"""Not in the checkout: as root each database runs under a user id of its own and must get there."""

SLEEP_SECONDS_MAX = 20.0
BARE_STARTS = 5

BANK_QUERY = "SELECT sum(abalance), count(*) FROM pgbench_accounts WHERE aid <= 1000"
GLYPHS_QUERY = "SELECT glyph, name FROM glyph WHERE name LIKE '%SNOW%' ORDER BY code"

_began = time.monotonic()
_part = 0


def part(title: str) -> None:
    global _part
    _part += 1
    print(f"\n\033[1m[{time.monotonic() - _began:5.1f} s] {_part}. {title}\033[0m", flush=True)


def say(words: str) -> None:
    print("   " + words.replace("\n", "\n   "), flush=True)


@contextlib.contextmanager
def torpor_up() -> Iterator[Torpor]:
    shutil.rmtree(STATE, ignore_errors=True)
    options = ["-f", str(MANIFEST.relative_to(ROOT)), "--state", str(STATE)]
    say(f"$ torpor up {' '.join(options)}")
    up = subprocess.Popen(
        [sys.executable, "-m", "torpor_cli.main", "up", *options, "--listen", "127.0.0.1:0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert up.stdout is not None
        for line in up.stdout:
            say(line.rstrip())
            if line.startswith("stop everything"):
                break
        else:
            raise SystemExit("torpor up did not come up")
        yield Torpor(STATE, up.pid, warm=2)
    finally:
        up.terminate()
        up.communicate()


def glyphs() -> list[tuple[int, str, str, str]]:
    """A few hundred rows that a person can read: the miscellaneous symbols of Unicode."""
    return [
        (code, chr(code), unicodedata.name(chr(code)), unicodedata.category(chr(code)))
        for code in range(0x2600, 0x27C0)
        if unicodedata.name(chr(code), "")
    ]


def load(torpor: Torpor) -> None:
    say(f"bank: pgbench's tables at scale {SCALE} ({SCALE * 100_000:,} accounts) …")
    fill(torpor.target("bank"))
    rows = glyphs()
    say(f"glyphs: {len(rows)} symbols of Unicode with their names, by COPY …")
    with psycopg.connect(uri(torpor, "glyphs")) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE glyph (code int PRIMARY KEY, glyph text, name text, kind text)"
        )
        with cursor.copy("COPY glyph FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)


def query(torpor: Torpor) -> None:
    sql = "SELECT kind, count(*), min(name) FROM glyph GROUP BY kind"
    say(f'psql:     torpor psql glyphs -c "{sql}"')
    say(torpor.run("psql", "glyphs", "-c", sql).rstrip())
    with psycopg.connect(uri(torpor, "bank")) as connection:
        say(f"psycopg:  {BANK_QUERY} → {connection.execute(BANK_QUERY).fetchone()}")
    say(f"asyncpg:  {GLYPHS_QUERY}")
    for glyph, name in asyncio.run(with_asyncpg(uri(torpor, "glyphs"))):
        say(f"          {glyph}  {name}")


async def with_asyncpg(address: str) -> list[tuple[str, str]]:
    connection = await asyncpg.connect(address)
    rows = await connection.fetch(GLYPHS_QUERY)
    await connection.close()
    return [(row["glyph"], row["name"]) for row in rows]


def wait_for_sleep(torpor: Torpor, *names: str) -> None:
    deadline = time.monotonic() + SLEEP_SECONDS_MAX
    while awake := [n for n in names if torpor.status(n)["phase"] != "Suspended"]:
        if time.monotonic() > deadline:
            raise SystemExit("\n".join(torpor.run("why", name) for name in awake))
        time.sleep(0.1)


def processes_of(torpor: Torpor) -> list[tuple[str, int]]:
    """Name and memory (proportional set size, bytes) of everything that this Torpor runs."""
    found, todo = [], [torpor.pid]
    while todo:
        pid = todo.pop()
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{pid}/task").iterdir():
                todo += map(int, (task / "children").read_text().split())
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            kilobytes = int(rollup.split("\nPss:")[1].split()[0])
            found.append((name_of(arguments), kilobytes * 1024))
    return found


def name_of(arguments: list[str]) -> str:
    words = " ".join(arguments)
    if "torpor_compute.nursery" in words:
        return "nursery"
    if "launcher" in words or "torpor_compute" in words:
        return "warm agents"
    for word in ("proxy", "autoscaler"):
        if f"torpor_{word}" in words:
            return word
    return "torpor up" if "torpor_cli" in words else Path(arguments[0]).name.split(":")[0]


def show_processes(torpor: Torpor) -> None:
    sums: dict[str, list[int]] = {}
    for name, size in processes_of(torpor):
        sums.setdefault(name, []).append(size)
    rows = [[n, str(len(s)), f"{sum(s) / 2**20:.1f}"] for n, s in sorted(sums.items())]
    say(table(["PROCESS", "COUNT", "MEMORY (MiB)"], rows, right=[1, 2]))
    count = len(sums.get("postgres", []))
    say(f"\nPostgres processes: {count}. The two sleeping databases themselves take no memory;")
    say("their connected clients are held by the proxy, in a few kilobytes each.")
    if count:
        raise SystemExit("a sleeping database still has a Postgres process")


def ask(name: str, connection: psycopg.Connection[Any], sql: str) -> None:
    began = time.perf_counter()
    row = connection.execute(cast(Any, sql)).fetchone()
    took_ms = (time.perf_counter() - began) * 1000
    say(f"{name}: {sql}\n→ {row} after {took_ms:.0f} ms")


def bare_start_ms(torpor: Torpor, name: str, sql: str) -> float:
    """The median time of an exec of postgres to its first answer, on a copy of the data."""
    with copy_of(torpor.state / "databases" / name / "data") as bare:
        times = []
        for _ in range(BARE_STARTS):
            times.append(bare.first_answer_s(sql) * 1000)
            bare.stop()
    return statistics.median(times)


def uri(torpor: Torpor, name: str) -> str:
    return torpor.run("uri", name).strip()


def main() -> None:
    part("Torpor starts, with two databases from a YAML file")
    with torpor_up() as torpor:
        part("Real data goes in")
        load(torpor)
        part("Queries, with the clients that everybody has")
        query(torpor)
        part("Both fall asleep after a second, while a client of each stays connected")
        bank = psycopg.connect(uri(torpor, "bank"), autocommit=True)
        symbols = psycopg.connect(uri(torpor, "glyphs"), autocommit=True)
        with bank, symbols:
            ask("bank", bank, BANK_QUERY)
            ask("glyphs", symbols, GLYPHS_QUERY)
            wait_for_sleep(torpor, "bank", "glyphs")
            say(torpor.run("list").rstrip())
            show_processes(torpor)
            part("The next query of each connected client wakes its database")
            ask("bank", bank, BANK_QUERY)
            ask("glyphs", symbols, GLYPHS_QUERY)
            part("Where the time went, beside a bare Postgres start on the same data")
            wait_for_sleep(torpor, "bank", "glyphs")
            for name, sql in (("bank", BANK_QUERY), ("glyphs", GLYPHS_QUERY)):
                say(torpor.run("critical-chain", name).rstrip())
                say(f"bare postgres, exec to answer  {bare_start_ms(torpor, name, sql):.1f}\n")
    part("Your turn")
    say("Torpor has ended and nothing of it runs any more; the data is there. Carry on with:\n")
    say(f".venv/bin/torpor up --state {STATE}")
    say(f".venv/bin/torpor psql bank --state {STATE}\n")
    say("From then on any Postgres client can connect, with what `torpor uri bank` says:\n")
    say(carry_on_uri())


def carry_on_uri() -> str:
    from torpor_cli.local.secrets import password_of
    from torpor_cli.local.sockets import parse_address
    from torpor_cli.uri import Connection
    from torpor_cli.verbs.up_verb import LISTEN_DEFAULT

    password = password_of(STATE / "secrets", "bank", "app")
    return Connection("bank", parse_address(LISTEN_DEFAULT), "app", "app", password).uri


if __name__ == "__main__":
    main()
