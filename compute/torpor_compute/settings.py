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
from torpor_channel.address import (
    SOCKET_PATH_BYTES_MAX,
    Address,
    TcpAddress,
    parse_address,
    parse_tcp,
)
from torpor_compute.core.postgres_options import MAX_CONNECTIONS
from torpor_compute.lifetime import END_SECONDS_MAX, LINGER_SECONDS

SOCKET_FILE = ".s.PGSQL.5432"

MAX_CONNECTIONS_VARIABLE = "TORPOR_COMPUTE_MAX_CONNECTIONS"
"""In the environment of `torpor up`: for every compute that it starts."""

MAX_CONNECTIONS_MAX = 10_000
"""Each takes memory from the start on, used or not; an idle session needs none."""

REFILL_VARIABLE = "TORPOR_COMPUTE_REFILL"
"""In the environment of `torpor up`: off, where no compute shall load what was in shared buffers
before a sleep, because its storage is paid or bounded by the read."""

_SWITCH = {"on": True, "off": False}

START_SECONDS_MAX = 3600.0
"""A database that was busy writing when it was killed may recover for minutes."""

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Settings:
    """One agent's settings."""

    compute: ComputeId
    listen: Address
    tls: Path | None
    """The folder with its certificate: on a network only, and always there."""
    advertise: str
    """The host by which others reach it on a network; empty: it is on one machine with them."""
    run_directory: Path
    postgres: Path
    """The program itself."""
    postgres_version: str
    template: Path | None
    """A data directory to make new volumes from; None: volumes are made by others."""
    proxy_user: str
    """On one machine: as whom the proxy runs."""
    start_seconds_max: float
    leave_seconds: float
    """For which a Postgres goes on after SIGTERM: time for its sessions to move elsewhere."""
    end_seconds_max: float
    """From then on, for its clean end. What is over it must be less than the kubelet waits."""
    linger_seconds: float
    """Between the end of its Postgres and its own, in a pod."""
    max_connections: int
    """For ordinary roles."""
    refills: bool | None
    """Whether what was in shared buffers before a sleep is loaded behind the next start. None: what
    was written is neither, and refused."""
    health: TcpAddress | None = None
    """Where a kubelet's probes are answered."""
    cgroup: tuple[Path, ...] = ()
    """With the files of ``cpu``, ``cpuacct`` and ``memory`` of the one that is its alone. Empty: it
    shares one, or is in a container."""
    has_own_container: bool = False
    """Whatever runs in its container is its own."""

    @property
    def advertised(self) -> str:
        """Where its control channel is reached."""
        if isinstance(self.listen, TcpAddress):
            return str(TcpAddress(self.advertise, self.listen.port))
        return str(self.listen)

    @property
    def ends_by_itself(self) -> bool:
        """On a network nobody looks after its process but the kubelet, which waits for its end."""
        return isinstance(self.listen, TcpAddress)

    @property
    def agent_user(self) -> str:
        return pwd.getpwuid(os.geteuid()).pw_name


def parse(argv: Sequence[str], environment: Mapping[str, str] = NOTHING) -> Settings:
    """Raises InvalidRequest with one line for each fault."""
    given = _parser().parse_args(argv)
    settings = Settings(
        compute=ComputeId(given.compute),
        listen=parse_address(given.listen),
        tls=given.tls,
        advertise=given.advertise.strip("[]"),
        run_directory=given.run_dir,
        postgres=given.postgres / "postgres",
        postgres_version=given.postgres_version,
        template=given.template,
        proxy_user=given.proxy_user,
        start_seconds_max=given.start_seconds_max,
        leave_seconds=given.leave_seconds,
        end_seconds_max=given.end_seconds_max,
        linger_seconds=given.linger_seconds,
        health=given.health,
        max_connections=_number(environment.get(MAX_CONNECTIONS_VARIABLE)),
        refills=_SWITCH.get(environment.get(REFILL_VARIABLE, "on")),
        cgroup=tuple(given.cgroup),
        has_own_container=given.own_container,
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
    parser.add_argument("--listen", required=True, help="control channel: a socket or HOST:PORT")
    parser.add_argument("--tls", type=Path, help="with HOST:PORT: folder of its TLS files")
    parser.add_argument("--advertise", default="", help="with HOST:PORT: its own address")
    parser.add_argument("--run-dir", type=Path, required=True, help="for Postgres's socket")
    parser.add_argument("--postgres", type=Path, required=True, help="folder of the binaries")
    parser.add_argument("--postgres-version", required=True, help="their major version")
    parser.add_argument("--template", type=Path, help="a data directory that new ones are made of")
    parser.add_argument("--proxy-user", default="", help="with a socket: as whom the proxy runs")
    parser.add_argument("--start-seconds-max", type=float, default=START_SECONDS_MAX)
    parser.add_argument("--health", type=parse_tcp, metavar="HOST:PORT", help="answers probes")
    parser.add_argument("--leave-seconds", type=float, default=0.0)
    parser.add_argument("--linger-seconds", type=float, default=LINGER_SECONDS)
    parser.add_argument("--end-seconds-max", type=float, default=END_SECONDS_MAX)
    parser.add_argument(
        "--cgroup",
        nargs=3,
        type=Path,
        default=(),
        metavar=("CPU", "CPUACCT", "MEMORY"),
        help="folders of the cgroup that is its alone; in version 2 all the same one",
    )
    parser.add_argument("--own-container", action="store_true", help="it shares its with nobody")
    return parser


def _faults(settings: Settings) -> list[str]:
    return [
        _of_listen(settings),
        _of_path("--run-dir", settings.run_directory / SOCKET_FILE),
        _of_program(settings.postgres),
        _of_own_user(),
        "" if settings.compute else "--compute is empty: give the compute an id",
        _of_template(settings.template),
        _of_seconds("--start-seconds-max", settings.start_seconds_max),
        _of_seconds("--end-seconds-max", settings.end_seconds_max),
        "" if settings.linger_seconds >= 0 else "--linger-seconds must be 0 or more",
        "" if settings.leave_seconds >= 0 else "--leave-seconds must be 0 or more",
        _of_connections(settings.max_connections),
        f"{REFILL_VARIABLE}: write on or off" if settings.refills is None else "",
    ]


def _of_listen(settings: Settings) -> str:
    if not isinstance(settings.listen, TcpAddress):
        if not settings.proxy_user:
            return "--proxy-user is missing: name the operating system user of the proxy"
        return _of_path("--listen", settings.listen)
    if settings.tls is None or not settings.advertise:
        return "--listen HOST:PORT needs --tls FOLDER and --advertise HOST as well"
    return ""


def _of_template(template: Path | None) -> str:
    if template is None or (template / "PG_VERSION").is_file():
        return ""
    return f"--template: {template} is no data directory: make it with initdb"


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


def _of_seconds(option: str, value: float) -> str:
    if value > 0:
        return ""
    return f"{option} {value:g} must be more than 0"


def _number(text: str | None) -> int:
    """0 where it is none, which is refused like any other that is out of range."""
    if text is None:
        return MAX_CONNECTIONS
    return int(text) if text.isascii() and text.isdigit() else 0


def _of_connections(number: int) -> str:
    if 1 <= number <= MAX_CONNECTIONS_MAX:
        return ""
    return f"{MAX_CONNECTIONS_VARIABLE}: write a whole number from 1 to {MAX_CONNECTIONS_MAX}"
