"""pg_dump and pg_restore there and back: what comes back is what was there, byte by byte.

Both sides dump the same objects, so the dumps of both must be the same as well: a dump's digest is
its test's detail, and so a part of the comparison.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from suites.outcomes import Outcome, Result, Results
from suites.programs import TookTooLong, watch
from suites.suite import Run, Suite

SECONDS_MAX = 120.0
"""For one program; each takes about a second."""

SCALE = 2
ORIGIN = "origin"
OBJECTS = Path(__file__).parent / "dump_objects.sql"

PLAIN = ("--restrict-key=torpor", "--format=plain")
"""The key is a random one otherwise, and no two dumps the same."""

FORMATS = {"custom": (), "tar": (), "directory": ("--jobs=2",)}
"""Those that pg_restore reads, with what both programs are told beside."""


class Failed(Exception):
    """A program ended with an error."""


def run(run: Run) -> Results:
    """A result for the plain dump, and for the way there and back in each format."""
    output = run.workshop.results(f"dump-{run.side.slug}")
    found: dict[str, Result] = {}
    try:
        _fill(run, output)
        before = _plain(run, ORIGIN, output)
        found["plain"] = _same(before, before)
    except Failed as failed:
        return {"plain": Result(Outcome.FAILED, str(failed))}
    for number, kind in enumerate(FORMATS):
        try:
            found[kind] = _same(before, _there_and_back(run, kind, output))
        except Failed as failed:
            found[kind] = Result(Outcome.FAILED, str(failed))
        run.count(number + 1, len(FORMATS))
    return found


def _fill(run: Run, output: Path) -> None:
    _program(run, output, "createdb", ORIGIN)
    _program(run, output, "pgbench", "-i", "-q", f"--scale={SCALE}", "--foreign-keys", ORIGIN)
    _program(run, output, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-f", str(OBJECTS), ORIGIN)


def _there_and_back(run: Run, kind: str, output: Path) -> bytes:
    file, copy = output / kind, f"copy_{kind}"
    jobs = FORMATS[kind]
    _program(run, output, "pg_dump", f"--format={kind}", *jobs, f"--file={file}", ORIGIN)
    _program(run, output, "createdb", copy)
    _program(run, output, "pg_restore", "--exit-on-error", *jobs, f"--dbname={copy}", str(file))
    return _plain(run, copy, output)


def _plain(run: Run, dbname: str, output: Path) -> bytes:
    file = output / f"{dbname}.sql"
    _program(run, output, "pg_dump", *PLAIN, f"--file={file}", dbname)
    return file.read_bytes()


def _same(before: bytes, after: bytes) -> Result:
    outcome = Outcome.PASSED if before == after else Outcome.FAILED
    return Result(outcome, hashlib.sha256(after).hexdigest())


def _program(run: Run, folder: Path, name: str, *arguments: str) -> None:
    said: list[str] = []
    try:
        status = watch(
            [str(run.workshop.programs / name), *arguments],
            environment=run.side.environment(),
            folder=folder,
            seconds_max=SECONDS_MAX,
            heard=said.append,
        )
    except TookTooLong as late:
        raise Failed(str(late)) from None
    if status != 0:
        raise Failed(f"{name}: {' '.join(said[-2:])}")


SUITE = Suite("dump", "pg_dump and pg_restore there and back, in each format", run)
