"""A load by pgbench, counted: what was answered, and what failed."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass

from rig.client import Target
from torpor_cli.local.postgres_binaries import installed

END_SECONDS_MAX = 120.0
"""Beyond a load's own time: its clients connect, perhaps by a wake, and end."""

THREADS_MAX = 2

_ANSWERED = re.compile(r"number of transactions actually processed: (\d+)")
_FAILED = re.compile(r"number of failed transactions: (\d+)")
_ABORTED = re.compile(r"client \d+ (?:aborted|script \d+ aborted)")


@dataclass(frozen=True, slots=True)
class Load:
    """What became of one."""

    answered: int
    failed: int
    """Statements with an error; behind one its client asks no more."""


def load(target: Target, clients: int, seconds: float, *options: str) -> Load:
    """``--select-only`` for so long. Raises RuntimeError where nothing was counted."""
    how_much = (f"--client={clients}", f"--jobs={min(clients, THREADS_MAX)}")
    done = subprocess.run(
        [
            *(installed().program("pgbench"), "--no-vacuum", "--select-only"),
            *(*how_much, f"--time={seconds:.0f}", *options),
        ],
        env={**os.environ, **target.environment()},
        capture_output=True,
        text=True,
        timeout=seconds + END_SECONDS_MAX,
    )
    return counted(done.stdout, done.stderr)


def counted(said: str, complained: str) -> Load:
    """From pgbench's own words."""
    answered, failed = _ANSWERED.search(said), _FAILED.search(said)
    if answered is None:
        raise RuntimeError(f"pgbench: {complained.strip()[-1000:]}")
    aborted = len(_ABORTED.findall(complained))
    return Load(int(answered[1]), (int(failed[1]) if failed else 0) + aborted)
