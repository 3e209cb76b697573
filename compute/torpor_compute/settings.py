"""What the command line says, judged once and wholly."""

from __future__ import annotations

import argparse
import os
import pwd
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from torpor_api.failures import InvalidRequest
from torpor_api.identity import ComputeId
from torpor_channel.address import SOCKET_PATH_BYTES_MAX
from torpor_compute.core.postgres_options import MAX_CONNECTIONS

SOCKET_FILE = ".s.PGSQL.5432"

MAX_CONNECTIONS_VARIABLE = "TORPOR_COMPUTE_MAX_CONNECTIONS"
"""In the environment of `torpor up`: for every compute that it starts."""

MAX_CONNECTIONS_MAX = 10_000
"""Each takes memory from the start on, used or not; an idle session needs none."""

START_SECONDS_MAX = 3600.0
"""A database that was busy writing when it was killed may recover for minutes."""


NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """One agent's settings."""

    compute: ComputeId
    listen: Path
    run_directory: Path
    postgres: Path
    """The program itself."""
    postgres_version: str
    proxy_user: str
    start_seconds_max: float
    max_connections: int
    """For ordinary roles."""

    @property
    def agent_user(self) -> str:
        return pwd.getpwuid(os.geteuid()).pw_name


def parse(argv: Sequence[str], environment: Mapping[str, str] = NOTHING) -> Settings:
    """Raises InvalidRequest with one line for each fault."""
    given = _parser().parse_args(argv)
    settings = Settings(
        compute=ComputeId(given.compute),
        listen=given.listen,
        run_directory=given.run_dir,
        postgres=given.postgres / "postgres",
        postgres_version=given.postgres_version,
        proxy_user=given.proxy_user,
        start_seconds_max=given.start_seconds_max,
        max_connections=_number(environment.get(MAX_CONNECTIONS_VARIABLE)),
    )
    faults = [fault for fault in _faults(settings) if fault]
    if faults:
        raise InvalidRequest("\n".join(faults))
    return settings


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m torpor_compute", description="A warm compute, to be claimed once."
    )
    parser.add_argument("--compute", required=True, help="its id, never used twice")
    parser.add_argument("--listen", type=Path, required=True, help="socket of the control channel")
    parser.add_argument("--run-dir", type=Path, required=True, help="for Postgres's socket")
    parser.add_argument("--postgres", type=Path, required=True, help="folder of the binaries")
    parser.add_argument("--postgres-version", required=True, help="their major version")
    parser.add_argument("--proxy-user", required=True, help="operating system user of the proxy")
    parser.add_argument("--start-seconds-max", type=float, default=START_SECONDS_MAX)
    return parser


def _faults(settings: Settings) -> list[str]:
    return [
        _of_path("--listen", settings.listen),
        _of_path("--run-dir", settings.run_directory / SOCKET_FILE),
        _of_program(settings.postgres),
        _of_own_user(),
        "" if settings.compute else "--compute is empty: give the compute an id",
        _of_seconds(settings.start_seconds_max),
        _of_connections(settings.max_connections),
    ]


def _of_path(option: str, socket: Path) -> str:
    length = len(os.fsencode(socket))
    if length <= SOCKET_PATH_BYTES_MAX:
        return ""
    return (
        f"{option}: {socket} has {length} bytes, a socket's path at most {SOCKET_PATH_BYTES_MAX}: "
        "choose a shorter folder"
    )


def _of_program(program: Path) -> str:
    if os.access(program, os.X_OK) and program.is_file():
        return ""
    return f"--postgres: {program} can't be run: name the folder that holds the binaries"


def _of_own_user() -> str:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        return (
            f"user id {os.geteuid()} has no name on this machine, and Postgres knows its agent "
            "by name: add it to /etc/passwd"
        )
    return ""


def _of_seconds(value: float) -> str:
    if value > 0:
        return ""
    return f"--start-seconds-max {value:g} must be more than 0"


def _number(text: str | None) -> int:
    """0 where it is none, which is refused like any other that is out of range."""
    if text is None:
        return MAX_CONNECTIONS
    return int(text) if text.isascii() and text.isdigit() else 0


def _of_connections(number: int) -> str:
    if 1 <= number <= MAX_CONNECTIONS_MAX:
        return ""
    return f"{MAX_CONNECTIONS_VARIABLE}: write a whole number from 1 to {MAX_CONNECTIONS_MAX}"
