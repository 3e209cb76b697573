"""The options of a Postgres, from the size of its compute. Pure.

Those on the command line stand over ``postgresql.conf`` and ``ALTER SYSTEM``: a tenant can't open a
TCP port or change who may log in. Nor can a reload change them: what follows the size of a compute
that runs stands in a file of the agent's own, below whatever the database's own files say.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from torpor_api.sizes import MEMORY_BYTES_PER_CU, Size

MAX_CONNECTIONS = 101
"""For ordinary roles: a hundred sessions at a time, as in Postgres by default, and one connection
that a proxy keeps for those of its sessions that listen while they are parked."""

OWN_CONNECTIONS = 3
"""Of the agent: one that is kept, one at work and one that loads pages. They take nothing from the
ordinary roles."""

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

_MEMORY_MIB_PER_CU = MEMORY_BYTES_PER_CU >> 20

SHARED_BUFFERS_MIB_PER_CU_MAX = _MEMORY_MIB_PER_CU // 4
"""A quarter of the memory that the compute has now, whatever it may grow to."""

CACHE_MIB_PER_CU = _MEMORY_MIB_PER_CU * 3 // 4
"""What the planner may expect to find cached."""

AUTHENTICATION_SECONDS_MAX = 15
"""For a newcomer to say who it is; Postgres's own default is a minute. They are proxies, who say it
at once. Until this has passed since its start, a helper that Postgres does not list (that of
pg_prewarm) could as well be a newcomer, and holds up a stop."""

EXTENSIONS = {"cron.use_background_workers": "on"}
"""Of extensions that a database may load: pg_cron would otherwise log in over TCP for each of its
jobs, like a client, which nobody but a proxy can. Without pg_cron it means nothing."""

NO_QUERY_TEXT = {
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "cron.log_statement": "off",
}
"""What Postgres logs is read by whoever runs it, and quoted where a start has failed. It says what
went wrong, and not in which words, or with which values, a client had asked for it: STATEMENT, and
DETAIL, CONTEXT and QUERY, which quote them. Who wants them asks for them in SQL, or in the
database's own files."""

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
    config_file: str
    hba_file: str
    ident_file: str
    network: NetworkPlaces | None = None
    """None: it listens on its Unix socket only."""


def command_line(
    postgres: str,
    places: PostgresPlaces,
    size: Size,
    max_connections: int = MAX_CONNECTIONS,
) -> list[str]:
    """``argv`` of the postmaster. ``max_connections``: for ordinary roles."""
    options = places_options(places) | network_options(places.network)
    options |= start_options(size) | _connections(max_connections)
    argv = [postgres, "-D", places.data]
    for name, value in options.items():
        argv += ["-c", f"{name}={value}"]
    return argv


def places_options(places: PostgresPlaces) -> dict[str, str]:
    return {
        "port": str(PORT),
        "unix_socket_directories": _in_list(places.socket_directory),
        "unix_socket_permissions": SOCKET_PERMISSIONS,
        "config_file": places.config_file,
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


def start_options(size: Size) -> dict[str, str]:
    """What only a start can change: sized for what the compute may grow to, so that most changes
    of its size need none."""
    units = max(Decimal(1), size.max_cu)
    wanted = min(SHARED_BUFFERS_MIB_MAX, int(SHARED_BUFFERS_MIB * units))
    return {"shared_buffers": f"{min(wanted, int(SHARED_BUFFERS_MIB_PER_CU_MAX * size.cu))}MB"}


def reload_options(size: Size) -> dict[str, str]:
    """What follows the size while Postgres runs."""
    return {
        "effective_cache_size": f"{int(CACHE_MIB_PER_CU * size.cu)}MB",
        "max_parallel_workers": str(min(PARALLEL_WORKERS_MAX, math.ceil(size.cu))),
    }


def config_text(size: Size, data: str) -> str:
    """The file that a reload reads: ours first, so that the database's own settings outrank it."""
    lines = [f"# By the agent, for {size.cu.normalize():f} CU."]
    options = reload_options(size) | EXTENSIONS | NO_QUERY_TEXT
    lines += [f"{name} = {_quoted(value)}" for name, value in options.items()]
    lines += [f"authentication_timeout = {AUTHENTICATION_SECONDS_MAX}s"]
    lines += [f"include {_quoted(f'{data}/postgresql.conf')}"]
    return "\n".join(lines) + "\n"


def needing_restart(started: Size, wanted: Size) -> tuple[str, ...]:
    """What a Postgres that was started for one size does not have of another, for a person."""
    before, after = start_options(started), start_options(wanted)
    return tuple(
        f"{name} is {before[name]}, not {after[name]}"
        for name in after
        if before[name] != after[name]
    )


def _quoted(value: str) -> str:
    """As configuration files have it: a backslash means itself only when it stands twice."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


def _in_list(path: str) -> str:
    """One element of a list of paths; quoted, because a comma in it would make it two."""
    return '"' + path.replace('"', '""') + '"'
