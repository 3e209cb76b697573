"""Ways in: with TLS, without, direct; bound to the channel; by host name; protocols old and new."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
from collections.abc import Iterator

import asyncpg
import psycopg
import pytest

from support.up import Database, Up
from support.wire_client import WireClient, connected, error_of, logged_in
from torpor_proxy.core import wire

SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
GSSENC_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x30"


def is_encrypted(connection: psycopg.Connection) -> bool:
    return bool(connection.pgconn.ssl_in_use)


def parameters(database: Database, **more: str) -> dict[str, str]:
    """For libpq, without the endpoint's name."""
    found = database.connection()
    return {
        "hostaddr": "127.0.0.1",
        "port": str(database.up.port),
        "user": found.role,
        "dbname": found.database,
        "password": found.password or "",
        **more,
    }


@pytest.mark.parametrize(
    ("sslmode", "is_tls"),
    [("disable", False), ("allow", False), ("prefer", True), ("require", True)],
)
def test_sslmodes(each_database: Database, sslmode: str, is_tls: bool) -> None:
    with psycopg.connect(each_database.uri(sslmode=sslmode)) as connection:
        assert is_encrypted(connection) is is_tls
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_verify_full_with_the_ca_of_the_state_folder(
    each_database: Database, negotiation: str
) -> None:
    """The host name is verified, and it is enough to name the endpoint."""
    given = parameters(
        each_database,
        host=f"{each_database.name}.localhost",
        sslmode="verify-full",
        sslrootcert=str(each_database.up.ca),
        sslnegotiation=negotiation,
        channel_binding="require",
    )
    with psycopg.connect(**given) as connection:  # type: ignore[arg-type]
        assert is_encrypted(connection)
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_host_name_that_is_not_in_the_certificate(database: Database) -> None:
    given = parameters(
        database,
        host=f"{database.name}.example.org",
        sslmode="verify-full",
        sslrootcert=str(database.up.ca),
    )
    with pytest.raises(psycopg.OperationalError, match="does not match host name"):
        psycopg.connect(**given)  # type: ignore[arg-type]


def test_a_host_name_and_another_endpoint(database: Database) -> None:
    given = parameters(
        database, host="other.localhost", sslmode="require", options=f"endpoint={database.name}"
    )
    with pytest.raises(psycopg.OperationalError, match="the endpoint is named differently"):
        psycopg.connect(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", ["database", "user", "options"])
def test_other_ways_to_name_the_endpoint(database: Database, form: str) -> None:
    given = parameters(database, sslmode="disable")
    match form:
        case "database":
            given["dbname"] = f"{database.name}/app"
        case "user":
            given["user"] = f"app@{database.name}"
        case _:
            given["options"] = f"-c endpoint={database.name} -c search_path=here"
    with psycopg.connect(**given) as connection:  # type: ignore[arg-type]
        expected = "here" if form == "options" else '"$user", public'
        assert connection.execute("show search_path").fetchone() == (expected,)


def test_no_name_at_all(database: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="the endpoint is not named"):
        psycopg.connect(**parameters(database))  # type: ignore[arg-type]


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_channel_binding(database: Database, binding: str) -> None:
    uri = database.uri(sslmode="require", channel_binding=binding)
    with psycopg.connect(uri) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_channel_binding_can_not_be_had_without_tls(database: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="channel binding"):
        psycopg.connect(database.uri(sslmode="disable", channel_binding="require"))


async def test_asyncpg_over_tls(each_database: Database) -> None:
    context = ssl.create_default_context(cafile=str(each_database.up.ca))
    found = each_database.connection()
    connection = await asyncpg.connect(
        host="localhost",
        port=each_database.up.port,
        user=found.role,
        password=found.password,
        database=f"{each_database.name}/{found.database}",
        ssl=context,
    )
    try:
        assert await connection.fetchval("select 1") == 1
    finally:
        await connection.close()


def test_psql_over_tls(database: Database) -> None:
    environment = {**os.environ, **database.connection().environment(), "PGSSLMODE": "require"}
    done = subprocess.run(
        ["psql", "-Atc", "select 'over tls'"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.returncode) == ("over tls\n", 0), done.stderr


def test_gss_encryption_is_declined_and_tls_may_follow(database: Database) -> None:
    with connected(database.up) as client:
        client.send(GSSENC_REQUEST)
        assert client.take(1) == b"N"
        client.send(SSL_REQUEST)
        assert client.take(1) == b"S"
    with connected(database.up) as client:
        client.send(GSSENC_REQUEST)
        assert client.take(1) == b"N"
        client.log_in(database)
        assert client.query("select 1") == [(b"1",)]


# --- protocol versions ---------------------------------------------------------------------


def test_libpq_with_protocol_3_2(each_database: Database) -> None:
    uri = each_database.uri(min_protocol_version="3.2", max_protocol_version="3.2")
    with psycopg.connect(uri) as connection:
        assert connection.pgconn.full_protocol_version == 30002
        assert connection.execute("select 1").fetchone() == (1,)


@pytest.mark.parametrize(("minor", "key_bytes"), [(0, 4), (2, 32)])
def test_cancel_keys_are_as_long_as_the_protocol_has_them(
    database: Database, minor: int, key_bytes: int
) -> None:
    with logged_in(database, minor=minor) as client:
        process_id, secret = client.key
        assert process_id > 0 and len(secret) == key_bytes


@pytest.mark.parametrize(("minor", "answered"), [(9999, 2), (0, 0), (2, 2)])
def test_a_client_of_the_future_is_told_what_there_is(
    database: Database, minor: int, answered: int
) -> None:
    with connected(database.up) as client:
        said = client.log_in(database, minor=minor, **{"_pq_.foo": "bar"})
        expected = wire.negotiate_protocol_version(answered, ["_pq_.foo"])
        assert wire.message(*said[0]) == expected
        assert client.query("select 1") == [(b"1",)]


def test_replication_is_refused_in_words(database: Database) -> None:
    with connected(database.up) as client:
        client.start(database, replication="database")
        assert error_of([client.message()])["C"] == "0A000"
        assert client.rest() == b""


# --- TLS that goes wrong; the others are listed in test_bad_bytes.py --------------------------


@contextlib.contextmanager
def over_tls(up: Up, *alpn: str) -> Iterator[WireClient]:
    """Direct TLS."""
    context = ssl.create_default_context(cafile=str(up.ca))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    with socket.create_connection((up.host, up.port), 30) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as encrypted:
            yield WireClient(encrypted)


def test_direct_tls_without_the_protocol_s_name_is_refused(up: Up) -> None:
    with over_tls(up) as client:
        said = error_of([client.message()])
        assert said["C"] == "08P01" and "ALPN" in said["M"]


def test_direct_tls_with_another_protocol_s_name_is_refused(up: Up) -> None:
    with (
        pytest.raises((ssl.SSLError, ConnectionError, AssertionError)),
        over_tls(up, "h2") as client,
    ):
        assert client.rest() == b""
        raise AssertionError


def test_a_session_over_direct_tls(database: Database) -> None:
    with over_tls(database.up, "postgresql") as client:
        client.log_in(database)
        assert client.query("select 'direct'") == [(b"direct",)]


def test_tls_inside_of_tls_is_refused(up: Up) -> None:
    with over_tls(up, "postgresql") as client:
        client.send(SSL_REQUEST)
        assert "SSLRequest inside of TLS" in error_of([client.message()])["M"]
