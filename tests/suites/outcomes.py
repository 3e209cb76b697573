"""What a suite's tests came to on the two sides, and whether the differences are allowed. Pure.

A test differs where its outcome is another one or where it fails in another way. A difference is
allowed only by an entry that names its reason, and only in exactly the shape that the entry gives;
an entry whose test does not differ any more is a fault as well. So the list can't rot.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

_WORD = re.compile(r"[A-Za-z_]+")


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ABSENT = "absent"
    """The other side has run it and this one has not: cut off, or never begun."""


@dataclass(frozen=True, slots=True)
class Result:
    """Of one test on one side."""

    outcome: Outcome
    detail: str = ""
    """How it failed, without what changes from run to run (paths, times, process ids)."""


ABSENT = Result(Outcome.ABSENT)

Results = Mapping[str, Result]
"""By the test's name."""


class Loss(StrEnum):
    """What a park is documented to lose or to change: the only reasons that a test may differ."""

    SEQUENCE_STATE = "currval() and lastval() are lost"
    RANDOM_SEED = "setseed() is lost"
    LOADED_LIBRARIES = "libraries loaded by a session are lost, and what they remember"
    DBLINK = "connections of dblink are lost"
    PROCESS_ID = "pg_backend_pid() is another one afterwards"
    BACKEND_STATISTICS = "what Postgres counts for a backend begins anew"
    STATEMENT_COUNTERS = "plan counters and prepare_time of pg_prepared_statements begin anew"


@dataclass(frozen=True, slots=True)
class Allowed:
    """A difference with its reason."""

    suite: str
    test: str
    loss: Loss
    why: str
    """What in the test depends on the loss, for a person."""
    detail: str = ""
    """How exactly it fails through Torpor."""
    is_random: bool = False
    """It prints random numbers: it may fail in these alone, and ``detail`` says nothing."""

    def fits(self, detail: str) -> bool:
        """Whether the test has failed in the way that is allowed, and in no other."""
        return only_numbers_differ(detail) if self.is_random else detail == self.detail


@dataclass(frozen=True, slots=True)
class Difference:
    """One test that the two sides disagree about."""

    test: str
    straight: Result
    through: Result
    allowed: Allowed | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The comparison of one suite."""

    suite: str
    straight: Counter[Outcome]
    through: Counter[Outcome]
    differences: tuple[Difference, ...]
    faults: tuple[str, ...]
    fail_alike: tuple[str, ...] = ()
    """Tests that fail on both sides in the same way: by their surroundings, not by Torpor."""

    @property
    def is_clean(self) -> bool:
        return not self.faults


def judge(suite: str, straight: Results, through: Results, allowed: Sequence[Allowed]) -> Verdict:
    """Compare both sides of one suite under the list of allowed differences."""
    entries = {entry.test: entry for entry in allowed if entry.suite == suite}
    differences = tuple(
        Difference(test, straight.get(test, ABSENT), through.get(test, ABSENT), entries.get(test))
        for test in sorted({*straight, *through})
        if straight.get(test, ABSENT) != through.get(test, ABSENT)
    )
    return Verdict(
        suite,
        Counter(result.outcome for result in straight.values()),
        Counter(result.outcome for result in through.values()),
        differences,
        tuple(_faults(straight, differences, entries)),
        tuple(sorted(_fail_alike(straight, through))),
    )


def _faults(
    straight: Results, differences: Sequence[Difference], entries: Mapping[str, Allowed]
) -> Iterator[str]:
    if not any(result.outcome is Outcome.PASSED for result in straight.values()):
        yield "no test passes straight: the suite itself does not run here"
    for found in differences:
        if found.allowed is None:
            outcomes = f"{found.straight.outcome} straight, {found.through.outcome} through"
            yield f"{found.test}: {outcomes}"
        elif found.through.outcome is not Outcome.FAILED:
            yield f"{found.test}: {found.through.outcome} through, and only a failure is allowed"
        elif not found.allowed.fits(found.through.detail):
            yield f"{found.test}: fails in another way than the one that is allowed"
    differing = {found.test for found in differences}
    for test, entry in entries.items():
        if test in straight and test not in differing:
            yield f"{test}: is allowed to differ ({entry.loss}) and does not: remove the entry"


def _fail_alike(straight: Results, through: Results) -> Iterator[str]:
    for test, result in straight.items():
        if result.outcome is Outcome.FAILED and through.get(test) == result:
            yield test


def only_numbers_differ(detail: str) -> bool:
    """Whether what a diff takes away and what it adds have the same words, in the same order."""
    lines = [line for line in detail.splitlines() if not line.startswith("@@")]
    gone, come = (
        [words for line in lines if line[:1] == sign and (words := _WORD.findall(line))]
        for sign in "-+"
    )
    return bool(lines) and gone == come
