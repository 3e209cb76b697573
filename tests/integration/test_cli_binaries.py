"""As root, binaries that other user ids can't reach are copied to where they can."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.scratch import DISK, scratch_folder
from torpor_cli.local import postgres_binaries
from torpor_cli.local.postgres_binaries import BINARIES, PACKAGE, PostgresBinaries, installed

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another user")


@pytest.fixture
def root() -> Iterator[Path]:
    with scratch_folder(DISK) as made:
        yield made


def test_a_closed_checkout_is_copied_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = installed()
    closed = root / "closed"
    closed.mkdir(mode=0o700)
    for part in (PACKAGE, postgres_binaries.LIBRARIES):
        source = real.directory.parents[len(BINARIES.parts) - 1] / part
        shutil.copytree(source, closed / part, symlinks=True)
    monkeypatch.setattr(
        postgres_binaries, "installed", lambda: PostgresBinaries(closed / BINARIES, real.major)
    )
    copies = root / "postgres"
    copies.mkdir()
    found = postgres_binaries.reachable(copies)
    assert copies in found.directory.parents
    for program in ("postgres", "initdb"):
        said = subprocess.run(
            [found.program(program), "--version"],
            user=65534,
            group=65534,
            extra_groups=[],
            check=True,
            capture_output=True,
            text=True,
            cwd="/",
        ).stdout
        assert real.major in said
    made_at = os.stat(found.program("postgres")).st_ctime_ns
    assert postgres_binaries.reachable(copies) == found
    assert os.stat(found.program("postgres")).st_ctime_ns == made_at
