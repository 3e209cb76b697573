"""Runs the chosen suites on both sides and says how they compare."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rig import machine
from rig.progress import Progress
from suites import asyncpg_suite, dump, isolation, pipeline, record, regress, report, transactions
from suites.losses import ALLOWED
from suites.obtain import Missing
from suites.outcomes import Results, Verdict, judge
from suites.report import Line
from suites.sides import both_sides, proves_parking
from suites.suite import Run, Suite
from suites.workshop import Workshop
from support.scratch import fast_folder, remove_leftovers
from support.up import Up, running_up

SUITES: dict[str, Suite] = {
    module.SUITE.name: module.SUITE
    for module in (regress, isolation, pipeline, asyncpg_suite, transactions, dump)
}


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    names: tuple[str, ...]
    is_quick: bool = False
    is_parking: bool = True
    may_be_missing: bool = False
    keeps_output: bool = False


def run(options: Options, file: str | None) -> int:
    """The exit status: 0 only if every suite ran and nothing differs that may not."""
    found_on = machine.description()  # Before: the checkout may move on while this runs.
    remove_leftovers()
    up_options = ["--park-every-safe-point"] if options.is_parking else []
    with _folder(options.keeps_output) as folder, running_up(*up_options) as up:
        workshop = Workshop(folder)
        lines = [_line(SUITES[name], up, workshop, options) for name in options.names]
    print(report.as_text(lines))
    if file is not None:
        record.write(Path(file), list(SUITES), lines, found_on)
    return 0 if all(_is_fine(line, options) for line in lines) else 1


def _line(suite: Suite, up: Up, workshop: Workshop, options: Options) -> Line:
    """One suite on both sides. What is missing is said loudly, here and in the table."""
    progress = Progress(suite.name)
    results: list[Results] = []
    seconds: list[float] = []
    try:
        with both_sides(up, parks=options.is_parking) as sides:
            if options.is_parking:
                proves_parking(sides[1])
            for side in sides:
                began = time.monotonic()
                results.append(suite.run(Run(workshop, side, progress, options.is_quick)))
                seconds.append(time.monotonic() - began)
    except Missing as missing:
        print(f"\n*** {suite.name.upper()} DOES NOT RUN: {missing}\n", file=sys.stderr, flush=True)
        return Line(suite.name, suite.about, missing=str(missing))
    verdict = judge(suite.name, results[0], results[1], ALLOWED)
    for fault in verdict.faults:
        progress.step(f"FAULT: {fault}")
    if options.keeps_output:
        _keep_details(workshop.folder / "details" / suite.name, verdict)
    return Line(suite.name, suite.about, verdict, (seconds[0], seconds[1]))


def _is_fine(line: Line, options: Options) -> bool:
    return options.may_be_missing if line.verdict is None else line.verdict.is_clean


@contextlib.contextmanager
def _folder(keeps_output: bool) -> Iterator[Path]:
    """Everybody may pass through: the databases' own users read and write in it."""
    folder = Path(tempfile.mkdtemp(prefix="torpor-suites-", dir=fast_folder()))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        if keeps_output:
            print(f"the suites' output is kept in {folder}", file=sys.stderr)
        else:
            shutil.rmtree(folder)


def _keep_details(folder: Path, verdict: Verdict) -> None:
    """How each test that differs failed on each side, as an allowed loss would have it."""
    folder.mkdir(parents=True)
    for found in verdict.differences:
        (folder / f"{found.test}.diff").write_text(found.through.detail)
        (folder / f"{found.test}.straight").write_text(found.straight.detail)
