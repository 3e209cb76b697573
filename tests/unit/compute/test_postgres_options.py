"""The command line of Postgres."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from torpor_api.quantities import CU_STEP
from torpor_api.sizes import Size, least_cu_by_itself, size_of
from torpor_api.values import CU_MAX
from torpor_compute.core import postgres_options as options
from torpor_compute.core.postgres_options import (
    NetworkPlaces,
    PostgresPlaces,
    command_line,
    config_text,
    needing_restart,
    reload_options,
    start_options,
)

PLACES = PostgresPlaces(
    "/v/data", "/run/c", "/run/c/postgresql.conf", "/run/c/pg_hba.conf", "/run/c/pg_ident.conf"
)
ONE = Size(Decimal(1), Decimal(1))


def settings_of(argv: list[str]) -> dict[str, str]:
    assert argv[3::2] == ["-c"] * len(argv[3::2])
    return dict(part.split("=", 1) for part in argv[4::2])


def test_it_listens_on_its_own_socket_only() -> None:
    argv = command_line("/bin/postgres", PLACES, ONE)
    assert argv[:3] == ["/bin/postgres", "-D", "/v/data"]
    found = settings_of(argv)
    assert found["listen_addresses"] == ""
    assert found["unix_socket_directories"] == '"/run/c"'
    assert (found["hba_file"], found["ident_file"]) == (PLACES.hba_file, PLACES.ident_file)


def test_on_a_network_it_listens_by_tls_alone() -> None:
    network = NetworkPlaces("10.0.0.7", "/run/c/server.crt", "/run/c/server.key", "/run/c/ca.crt")
    found = settings_of(command_line("postgres", replace(PLACES, network=network), ONE))
    assert found["listen_addresses"] == "10.0.0.7"
    assert (found["ssl"], found["ssl_min_protocol_version"]) == ("on", "TLSv1.3")
    files = (found["ssl_cert_file"], found["ssl_key_file"], found["ssl_ca_file"])
    assert files == (network.certificate, network.key, network.ca)
    assert found["ssl_crl_file"] == found["ssl_crl_dir"] == ""


def test_ordinary_roles_get_the_promised_connections() -> None:
    found = settings_of(command_line("postgres", PLACES, ONE))
    reserved = int(found["superuser_reserved_connections"])
    own = options.OWN_CONNECTIONS
    assert int(found["max_connections"]) - reserved - own == options.MAX_CONNECTIONS == 101


def test_as_many_connections_as_are_wished() -> None:
    found = settings_of(command_line("postgres", PLACES, ONE, 45))
    assert found["max_connections"] == "51"


@pytest.mark.parametrize(
    ("cu", "max_cu", "buffers", "cache", "workers"),
    [
        ("0.25", "0.25", "128MB", "768MB", "1"),
        ("1", "1", "128MB", "3072MB", "1"),
        ("2.5", "2.5", "320MB", "7680MB", "3"),
        ("1", "4", "512MB", "3072MB", "1"),
        ("64", "64", "1024MB", "196608MB", "8"),
    ],
)
def test_it_grows_with_the_size(
    cu: str, max_cu: str, buffers: str, cache: str, workers: str
) -> None:
    size = Size(Decimal(cu), Decimal(max_cu))
    assert start_options(size) == {"shared_buffers": buffers}
    assert reload_options(size) == {"effective_cache_size": cache, "max_parallel_workers": workers}


def test_what_a_reload_can_change_stands_in_a_file_and_not_on_the_command_line() -> None:
    found = settings_of(command_line("postgres", PLACES, ONE))
    assert found["config_file"] == PLACES.config_file
    assert not found.keys() & reload_options(ONE).keys()
    assert config_text(Size(Decimal("0.50"), Decimal(1)), "/v/da'ta").splitlines() == [
        "# By the agent, for 0.5 CU.",
        "effective_cache_size = '1536MB'",
        "max_parallel_workers = '1'",
        "cron.use_background_workers = 'on'",
        "log_min_error_statement = 'panic'",
        "log_error_verbosity = 'terse'",
        "cron.log_statement = 'off'",
        "authentication_timeout = 15s",
        "include '/v/da''ta/postgresql.conf'",
    ]


@pytest.mark.parametrize("cu", ["0.5", "1", "2", "4"])
def test_within_an_eighth_of_what_it_may_grow_to_no_size_needs_a_restart(cu: str) -> None:
    four = Decimal(4)
    assert needing_restart(Size(four, four), Size(Decimal(cu), four)) == ()


def test_buffers_take_no_more_than_a_quarter_of_a_small_compute_s_memory() -> None:
    four = Decimal(4)
    wanted = Size(Decimal("0.25"), four)
    said = needing_restart(Size(four, four), wanted)
    assert said == ("shared_buffers is 512MB, not 256MB",)


def test_another_maximum_needs_a_restart() -> None:
    said = needing_restart(ONE, Size(Decimal(2), Decimal(2)))
    assert said == ("shared_buffers is 128MB, not 256MB",)


def test_a_comma_in_a_folder_makes_no_second_one() -> None:
    places = PostgresPlaces("/v/data", '/run/a,b"c', "f", "h", "i")
    found = settings_of(command_line("postgres", places, ONE))
    assert found["unix_socket_directories"] == '"/run/a,b""c"'


def test_a_size_that_follows_by_itself_needs_no_restart() -> None:
    """Up to the largest from where it starts, and down to the least that it gets without a word."""
    for quarters in range(1, 4 * CU_MAX + 1):
        max_cu = quarters * CU_STEP
        least = least_cu_by_itself(Decimal(0), max_cu)
        start = size_of(least, max_cu, None)
        assert not needing_restart(start, Size(max_cu, max_cu))
        assert not needing_restart(start, Size(least, max_cu))
        smaller = Size(least - CU_STEP, max_cu)
        assert least == CU_STEP or needing_restart(start, smaller)
