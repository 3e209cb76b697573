"""Who may not enter: the same words for every stranger, nobody woken, nobody disturbed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from support.up import Database, Up, a_database
from support.wire_client import connected, error_of, logged_in, query, rows_of
from torpor_proxy.core import wire

FLOOD = 300

THREADS = 8

YESTERDAY = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1)).isoformat()

ROLES = [
    {"name": "app"},
    {"name": "late", "password": "late", "validUntil": YESTERDAY},
    {"name": "few", "password": "few", "connectionLimit": 2},
]


@pytest.fixture
def place(up: Up) -> Iterator[Database]:
    with a_database(up, roles=ROLES) as database:
        yield database


def refused(database: Database, *, user: str, password: str, endpoint: str = "") -> dict[str, str]:
    """What a client is told that does not get in; its salt and its steps are like any other's."""
    with connected(database.up) as client:
        client.start(database, user=user, options=f"endpoint={endpoint or database.name}")
        assert client.message()[1] == b"\0\0\0\x0aSCRAM-SHA-256\0\0"
        client.prove(password)
        fields = error_of([client.message()])
        assert client.rest() == b""
        return fields


@pytest.mark.parametrize("is_asleep", [False, True])
def test_strangers_are_all_told_the_same(place: Database, is_asleep: bool) -> None:
    if is_asleep:
        place.fall_asleep()
    epoch = place.epoch
    told = [
        refused(place, user="app", password="wrong"),
        refused(place, user="app", password=place.password, endpoint="unknown"),
        refused(place, user="nobody", password="wrong"),
        refused(place, user="late", password="late"),
        refused(place, user="torpor_admin", password=""),
        refused(place, user="torpor_login", password=""),
        refused(place, user="pg_monitor", password=""),
    ]
    for each in told:
        user = each["M"].rpartition(" ")[2]
        assert each["M"] == f"password authentication failed for user {user}"
        assert each["C"] == "28P01" and each["V"] == "FATAL"
        assert each["H"] == told[0]["H"]
    assert place.epoch == epoch and place.is_asleep is is_asleep


def test_the_reason_is_in_the_log(place: Database) -> None:
    refused(place, user="late", password="late")
    refused(place, user="app", password="wrong", endpoint="unknown")
    log = place.up.log_of("proxy")
    assert "the password has expired" in log and "no endpoint 'unknown'" in log


def salt_of(database: Database, user: str, endpoint: str) -> bytes:
    with connected(database.up) as client:
        client.start(database, user=user, options=f"endpoint={endpoint}")
        client.message()
        first = b"n,,n=,r=nonce"
        head = b"SCRAM-SHA-256\0" + len(first).to_bytes(4, "big")
        client.send(wire.message(b"p", head + first))
        _, salt, iterations = client.message()[1][4:].split(b",")
        assert iterations == b"i=4096"
        return salt


def test_a_stranger_has_the_same_salt_each_time_like_a_real_role(place: Database) -> None:
    for user, endpoint in (("app", place.name), ("nobody", place.name), ("app", "unknown")):
        salts = {salt_of(place, user, endpoint) for _ in range(3)}
        assert len(salts) == 1 and len(salts.pop()) == len("s=") + 24


@pytest.mark.parametrize("is_asleep", [False, True])
def test_a_flood_of_bad_passwords(place: Database, is_asleep: bool) -> None:
    """Sessions of the same database go on meanwhile, and one that sleeps sleeps on."""
    with logged_in(place) as held, a_database(place.up) as elsewhere, logged_in(elsewhere) as other:
        held.query("select 1")
        if is_asleep:
            place.fall_asleep()
        epoch = place.epoch

        def attack(number: int) -> str:
            return refused(place, user="app", password=f"guess {number}")["C"]

        with ThreadPoolExecutor(THREADS) as threads:
            attacks = [threads.submit(attack, number) for number in range(FLOOD)]
            answered = 0
            while not all(each.done() for each in attacks):
                assert other.query("select 'other'") == [(b"other",)]
                if not is_asleep:
                    assert held.query("select 'held'") == [(b"held",)]
                answered += 1
        assert {each.result() for each in attacks} == {"28P01"} and answered > 0
        assert place.epoch == epoch and place.is_asleep is is_asleep
        assert held.query("select 'still there'") == [(b"still there",)]


def test_the_connection_limit_counts_sessions_that_sleep(place: Database) -> None:
    with logged_in(place, user="few") as one, logged_in(place, user="few"):
        one.query("select 1")
        place.fall_asleep()
        epoch = place.epoch
        with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
            psycopg.connect(place.uri("few"))
        assert place.epoch == epoch
    with logged_in(place, user="few") as third:
        assert third.query("select 'room again'") == [(b"room again",)]


@pytest.mark.parametrize("is_asleep", [False, True])
def test_a_database_that_there_is_not(place: Database, is_asleep: bool) -> None:
    if is_asleep:
        place.fall_asleep()
    with connected(place.up) as client:
        client.start(place, database="unknown")
        client.message()
        client.prove(place.password)
        said = client.until(b"E")
        assert error_of(said)["C"] == "3D000"
    assert place.is_asleep is is_asleep


def test_an_address_that_is_not_allowed(up: Up) -> None:
    with a_database(up, access={"allow": ["10.0.0.0/8"]}) as database:
        database.fall_asleep()
        right = refused(database, user="app", password=database.password)
        wrong = refused(database, user="app", password="wrong")
        assert right == wrong and right["C"] == "28P01"
        assert "access.allow" in right["H"] and "127.0.0.1" in right["H"]
        assert database.is_asleep


def test_a_password_that_was_changed_counts_at_once_awake_and_asleep(place: Database) -> None:
    with logged_in(place) as client:
        client.query("alter role app password 'another'")
        assert refused(place, user="app", password=place.password)["C"] == "28P01"
        place.fall_asleep()
        assert refused(place, user="app", password=place.password)["C"] == "28P01"
        with psycopg.connect(place.uri(password="another")) as again:
            assert again.execute("select 1").fetchone() == (1,)


def test_a_role_that_was_made_a_moment_ago(up: Up) -> None:
    with a_database(up, roles=[{"name": "app", "createrole": True}]) as database:
        with logged_in(database) as client:
            client.query("create role fresh login password 'fresh'")
            with psycopg.connect(database.uri(user="fresh", password="fresh")) as fresh:
                assert fresh.execute("select current_user").fetchone() == ("fresh",)
            client.query("alter role fresh nologin")
            with pytest.raises(psycopg.OperationalError, match="not permitted to log in"):
                psycopg.connect(database.uri(user="fresh", password="fresh"))


# --- broken exchanges -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (wire.message(b"Q", b"select 1\0"), "expected a SASL response"),
        (wire.message(b"p", b""), "expected a SASL response"),
        (b"p\xff\xff\xff\xff", "expected a SASL response"),
        (wire.message(b"p", b"x" * 5000), "expected a SASL response"),
        (wire.message(b"p", b"md5\0\0\0\0\0"), "invalid SASL mechanism"),
        (wire.message(b"p", b"SCRAM-SHA-256-PLUS\0\0\0\0\0"), "invalid SASL mechanism"),
        (wire.message(b"p", b"SCRAM-SHA-256\0\xff\xff\xff\xff"), "SASLInitialResponse"),
        (wire.message(b"p", b"secret\0"), "SASLInitialResponse"),
    ],
)
def test_answers_that_are_none(database: Database, answer: bytes, words: str) -> None:
    with connected(database.up) as client:
        client.start(database)
        client.message()
        client.send(answer)
        fields = error_of([client.message()])
        assert fields["C"] == "08P01" and words in fields["M"]


def test_a_client_that_asks_before_it_has_logged_in(database: Database) -> None:
    """What it sends behind its proof is served once it is in, and not before."""
    with connected(database.up) as client:
        client.start(database)
        client.message()
        client.prove(database.password)
        client.send(query("select 'early'"))
        client.until(b"Z")
        assert rows_of(client.until(b"Z")) == [(b"early",)]


def test_a_client_that_vanishes_before_its_password_wakes_nobody(database: Database) -> None:
    database.fall_asleep()
    epoch = database.epoch
    for _ in range(5):
        with connected(database.up) as client:
            client.start(database)
            client.message()
    assert database.epoch == epoch and database.is_asleep
