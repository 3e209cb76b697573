"""The command line of a Postgres, from the size that its database may grow to. Pure.

Options on the command line stand over ``postgresql.conf`` and ``ALTER SYSTEM``: a tenant can't
open a TCP port or change who may log in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

MAX_CONNECTIONS = 101
"""For ordinary roles: a hundred sessions at a time, as in Postgres by default, and one connection
that a proxy keeps for those of its sessions that listen while they are parked."""

OWN_CONNECTIONS = 2
"""Of the agent: one that is kept and one at work. They take nothing from the ordinary roles."""

RESERVED_CONNECTIONS = 3
"""For superusers, so that the agent gets in when all others are taken; Postgres's own default."""

PORT = 5432
"""On one machine only a part of the socket's name."""

DIRECT_TLS_SINCE = 17
"""The major version from which on a server takes TLS from the first byte."""

_LOSSES_ARE_NOTICED = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
"""A proxy whose machine is gone leaves no transaction open for hours, as the kernel would: as soon
as the control channel notices the same."""

SOCKET_PERMISSIONS = "0700"
"""Agent and proxy run as the socket's own user or as root. Anybody else who could connect would
take up connections, though ``peer`` lets nobody in, and hold up a stop that waits for clients."""

RECOVERY_SYNC = "syncfs"
"""Before it recovers, Postgres brings all of the data to disk: by one call for the file system, not
by opening each of a thousand files. Measured on a disk: recovery takes 32 ms instead of 118. The
agent's own flush relies on the same call, whose errors Linux reports since 5.8."""

SHARED_BUFFERS_MIB = 128
"""Of one compute unit; Postgres's own default. Memory is taken when it is first used."""

SHARED_BUFFERS_MIB_MAX = 1024
"""More makes a start measurably slower, and the kernel caches files as well."""

CACHE_MIB_PER_CU = 3 * 1024
"""Three quarters of a unit's memory: what the planner may expect to find cached."""

PARALLEL_WORKERS_MAX = 8
"""Postgres's own default of ``max_worker_processes``."""


@dataclass(frozen=True, slots=True)
class NetworkPlaces:
    """Where it listens on a network, and its files for TLS."""

    host: str
    certificate: str
    key: str
    ca: str


@dataclass(frozen=True, slots=True)
class PostgresPlaces:
    """The folders and files of one compute's Postgres."""

    data: str
    socket_directory: str
    hba_file: str
    ident_file: str
    network: NetworkPlaces | None = None
    """None: it listens on its Unix socket only."""


def command_line(
    postgres: str,
    places: PostgresPlaces,
    max_cu: Decimal,
    max_connections: int = MAX_CONNECTIONS,
) -> list[str]:
    """``argv`` of the postmaster. ``max_connections``: for ordinary roles."""
    options = places_options(places) | network_options(places.network)
    options |= size_options(max_cu) | _connections(max_connections)
    argv = [postgres, "-D", places.data]
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    return argv


def places_options(places: PostgresPlaces) -> dict[str, str]:
    return {
        "port": str(PORT),
        "unix_socket_directories": _in_list(places.socket_directory),
        "unix_socket_permissions": SOCKET_PERMISSIONS,
        "hba_file": places.hba_file,
        "ident_file": places.ident_file,
        "recovery_init_sync_method": RECOVERY_SYNC,
        "log_destination": "stderr",
        "logging_collector": "off",
    }


def network_options(network: NetworkPlaces | None) -> dict[str, str]:
    if network is None:
        return {"listen_addresses": ""}
    return {
        "listen_addresses": network.host,
        "ssl": "on",
        "ssl_cert_file": network.certificate,
        "ssl_key_file": network.key,
        "ssl_ca_file": network.ca,
        "ssl_min_protocol_version": "TLSv1.3",
        "ssl_crl_file": "",
        "ssl_crl_dir": "",
        **_LOSSES_ARE_NOTICED,
    }


def _connections(ordinary: int) -> dict[str, str]:
    return {
        "max_connections": str(ordinary + OWN_CONNECTIONS + RESERVED_CONNECTIONS),
        "superuser_reserved_connections": str(RESERVED_CONNECTIONS),
    }


def size_options(max_cu: Decimal) -> dict[str, str]:
    units = max(Decimal(1), max_cu)
    buffers = min(SHARED_BUFFERS_MIB_MAX, int(SHARED_BUFFERS_MIB * units))
    return {
        "shared_buffers": f"{buffers}MB",
        "effective_cache_size": f"{max(1, int(CACHE_MIB_PER_CU * max_cu))}MB",
        "max_parallel_workers": str(min(PARALLEL_WORKERS_MAX, math.ceil(max_cu))),
    }


def _in_list(path: str) -> str:
    """One element of a list of paths; quoted, because a comma in it would make it two."""
    return '"' + path.replace('"', '""') + '"'
