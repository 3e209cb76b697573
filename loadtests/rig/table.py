"""pgbench's tables in a database."""

from __future__ import annotations

import os
import subprocess

from rig.client import Target
from torpor_cli.local.postgres_binaries import installed

SCALE = 5
"""Half a million accounts, 75 MB."""

FILL_SECONDS_MAX = 300.0


def pgbench(target: Target, *options: str) -> str:
    """What pgbench prints."""
    done = subprocess.run(
        [installed().program("pgbench"), *options],
        env={**os.environ, **target.environment()},
        capture_output=True,
        text=True,
        timeout=FILL_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise RuntimeError(f"pgbench {' '.join(options)}: {done.stderr.strip()}")
    return done.stdout


def fill(target: Target, scale: int = SCALE) -> None:
    pgbench(target, "--initialize", "--quiet", f"--scale={scale}", "--init-steps=dtgvp")
