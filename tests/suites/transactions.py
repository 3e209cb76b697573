"""pgbench's transactions with many clients in each protocol: none may fail."""

from __future__ import annotations

import re

from suites.outcomes import Outcome, Result, Results
from suites.programs import TookTooLong, watch
from suites.suite import Run, Suite

CLIENTS = 16
SCALE = 16
"""A branch for each client, so that they don't wait for each other all the time."""

SECONDS = 60
SECONDS_QUICK = 5
SECONDS_GRACE = 60.0
"""For the start and the end of a run, whose length pgbench keeps itself."""

PROTOCOLS = ("simple", "extended", "prepared")
SCRIPTS = {"select": ["--select-only"], "tpcb": []}

_FAILED = re.compile(r"^number of failed transactions: (\d+)")
_DONE = re.compile(r"^number of transactions actually processed: (\d+)")


def run(run: Run) -> Results:
    """A result for each script in each protocol."""
    _pgbench(run, "--initialize", "--quiet", f"--scale={SCALE}", "--init-steps=dtgvp")
    seconds = SECONDS_QUICK if run.is_quick else SECONDS
    found: dict[str, Result] = {}
    for script, options in SCRIPTS.items():
        for protocol in PROTOCOLS:
            limits = (f"--time={seconds}", f"--client={CLIENTS}", "--jobs=2", "--no-vacuum")
            said = _pgbench(run, *options, f"--protocol={protocol}", *limits)
            found[f"{script}, {protocol}"] = result(said)
            run.tell(f"{script}, {protocol}: {_number(_DONE, said)} transactions")
    return found


def result(said: list[str]) -> Result:
    """Of one run: passed only if something was done and nothing failed."""
    failed, done = _number(_FAILED, said), _number(_DONE, said)
    aborted = [line for line in said if "aborted" in line]
    if failed == 0 and done and not aborted:
        return Result(Outcome.PASSED)
    return Result(Outcome.FAILED, "\n".join(aborted[:1] or said[-1:]))


def _pgbench(run: Run, *options: str) -> list[str]:
    said: list[str] = []
    try:
        watch(
            [str(run.workshop.programs / "pgbench"), *options],
            environment=run.side.environment(),
            folder=run.workshop.folder,
            seconds_max=SECONDS + SECONDS_GRACE,
            heard=said.append,
        )
    except TookTooLong as late:
        said.append(str(late))
    return said


def _number(pattern: re.Pattern[str], said: list[str]) -> int | None:
    return next((int(found[1]) for line in said if (found := pattern.match(line))), None)


SUITE = Suite("pgbench", f"pgbench, {CLIENTS} clients, -S and TPC-B in three protocols", run)
