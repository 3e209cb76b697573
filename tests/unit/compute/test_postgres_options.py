"""The command line of Postgres."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from torpor_compute.core import postgres_options as options
from torpor_compute.core.postgres_options import (
    NetworkPlaces,
    PostgresPlaces,
    command_line,
    size_options,
)

PLACES = PostgresPlaces("/v/data", "/run/c", "/run/c/pg_hba.conf", "/run/c/pg_ident.conf")


def settings_of(argv: list[str]) -> dict[str, str]:
    assert argv[3::2] == ["-c"] * len(argv[3::2])
    return dict(part.split("=", 1) for part in argv[4::2])


def test_it_listens_on_its_own_socket_only() -> None:
    argv = command_line("/bin/postgres", PLACES, Decimal(1))
    assert argv[:3] == ["/bin/postgres", "-D", "/v/data"]
    found = settings_of(argv)
    assert found["listen_addresses"] == ""
    assert found["unix_socket_directories"] == '"/run/c"'
    assert (found["hba_file"], found["ident_file"]) == (PLACES.hba_file, PLACES.ident_file)


def test_on_a_network_it_listens_by_tls_alone() -> None:
    network = NetworkPlaces("10.0.0.7", "/run/c/server.crt", "/run/c/server.key", "/run/c/ca.crt")
    found = settings_of(command_line("postgres", replace(PLACES, network=network), Decimal(1)))
    assert found["listen_addresses"] == "10.0.0.7"
    assert (found["ssl"], found["ssl_min_protocol_version"]) == ("on", "TLSv1.3")
    files = (found["ssl_cert_file"], found["ssl_key_file"], found["ssl_ca_file"])
    assert files == (network.certificate, network.key, network.ca)
    assert found["ssl_crl_file"] == found["ssl_crl_dir"] == ""


def test_ordinary_roles_get_the_promised_connections() -> None:
    found = settings_of(command_line("postgres", PLACES, Decimal(1)))
    reserved = int(found["superuser_reserved_connections"])
    own = options.OWN_CONNECTIONS
    assert int(found["max_connections"]) - reserved - own == options.MAX_CONNECTIONS == 101


def test_as_many_connections_as_are_wished() -> None:
    found = settings_of(command_line("postgres", PLACES, Decimal(1), 45))
    assert found["max_connections"] == "50"


@pytest.mark.parametrize(
    ("cu", "buffers", "cache", "workers"),
    [
        ("0.25", "128MB", "768MB", "1"),
        ("1", "128MB", "3072MB", "1"),
        ("2.5", "320MB", "7680MB", "3"),
        ("64", "1024MB", "196608MB", "8"),
    ],
)
def test_it_grows_with_the_size(cu: str, buffers: str, cache: str, workers: str) -> None:
    assert size_options(Decimal(cu)) == {
        "shared_buffers": buffers,
        "effective_cache_size": cache,
        "max_parallel_workers": workers,
    }


def test_a_comma_in_a_folder_makes_no_second_one() -> None:
    places = PostgresPlaces("/v/data", '/run/a,b"c', "h", "i")
    found = settings_of(command_line("postgres", places, Decimal(1)))
    assert found["unix_socket_directories"] == '"/run/a,b""c"'
