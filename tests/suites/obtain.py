"""Brings the suites' sources onto this machine: pinned, checked, kept between runs.

They come through this machine's own package clients, as it has them configured, and lie in a cache
outside of the checkout. What can't be had raises Missing, which says what to do about it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from suites import debian_source

SECONDS_MAX = 600.0
"""For one download; package mirrors may be slow, and some hang."""

PIP = (sys.executable, "-m", "pip")
QUIET = ("--quiet", "--no-input", "--disable-pip-version-check")


class Missing(Exception):
    """A suite, or something that it needs, is not to be had here."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A source archive that is the same everywhere."""

    file: str
    sha256: str
    top: str
    """The folder that everything in it lies in."""
    parts: tuple[str, ...]
    """What is unpacked of it, below ``top``."""
    download: Callable[[Path], Sequence[Sequence[str]]]
    """The commands that bring it into a folder, to be tried in their order."""


POSTGRES = Archive(
    file="postgresql-18_18.6.orig.tar.bz2",
    sha256="555610c24d53e4316da5b7d3fc25c279d96856d5e0e23ee308c328c5fa881d9f",
    top="postgresql-18.6",
    parts=("src/test/regress", "src/test/isolation", "src/test/modules/libpq_pipeline"),
    download=lambda folder: debian_source.commands(folder, "postgresql-18"),
)
"""The release that the binaries have been built from: a newer one brings newer tests."""

ASYNCPG = Archive(
    file="asyncpg-0.32.0.tar.gz",
    sha256="45e64e56714d888330b884aad1dfb363d0bf43fb343e3d1a8968525f3bade478",
    top="asyncpg-0.32.0",
    parts=("tests",),
    download=lambda folder: [
        [*PIP, "download", *QUIET, "--no-deps", "--no-binary=asyncpg", "asyncpg==0.32.0"]
    ],
)

ASYNCPG_PACKAGES = ("asyncpg==0.32.0", "distro==1.9.0")
"""The driver that the tests belong to, and what they import beside it."""


def cache() -> Path:
    """Where everything is kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(home) / "torpor" / "suites"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def unpacked(archive: Archive) -> Path:
    """The archive's parts, unpacked. Raises Missing."""
    folder = cache() / archive.top
    if not folder.exists():
        file = cache() / archive.file
        if not file.exists():
            _download(archive, file)
        _check(archive, file)
        with _made(folder) as partial, tarfile.open(file) as tar:
            wanted = tuple(f"{archive.top}/{part}/" for part in archive.parts)
            members = [each for each in tar if each.name.startswith(wanted)]
            tar.extractall(partial, members=members, filter="data")
            for inner in list((partial / archive.top).iterdir()):
                inner.rename(partial / inner.name)
            (partial / archive.top).rmdir()
    return folder


def packages(name: str, requirements: Sequence[str]) -> Path:
    """A folder for PYTHONPATH with these packages and nothing else. Raises Missing."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache() / f"{name}-packages-{python}"
    if not folder.exists():
        with _made(folder) as partial:
            install = [*PIP, "install", *QUIET, "--no-deps", f"--target={partial}", *requirements]
            _run(install, cache(), " ".join(requirements))
    return folder


def _download(archive: Archive, file: Path) -> None:
    faults = []
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        for command in archive.download(Path(folder)):
            try:
                _run(command, Path(folder), archive.file)
            except Missing as missing:
                faults.append(str(missing))
            if (Path(folder) / archive.file).exists():
                (Path(folder) / archive.file).rename(file)
                return
    told = "; ".join(faults) or "no mirror that this machine knows has it (any more)"
    raise Missing(f"{archive.file}: {told}. Or put that file into {cache()} yourself")


def _check(archive: Archive, file: Path) -> None:
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != archive.sha256:
        raise Missing(f"{file} has the sha256 {found}, and {archive.sha256} is wanted: remove it")


def _run(command: Sequence[str], folder: Path, what: str) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{what}: {error}") from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise Missing(f"{what}: {Path(command[0]).name} says: {last}")


@contextlib.contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """A folder that is there as a whole or not at all."""
    partial = Path(tempfile.mkdtemp(dir=cache()))
    try:
        yield partial
        partial.chmod(0o755)
        with contextlib.suppress(FileExistsError):  # Another run was quicker.
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
