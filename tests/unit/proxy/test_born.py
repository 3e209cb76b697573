"""A session is born parked only where the compute would surely have said the same."""

from __future__ import annotations

import pytest

from torpor_proxy.core.born import ENTRIES_MAX, PACKET_BYTES_MAX, Memory, process_id
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.routing import Route

TOLD: Pairs = (
    ("application_name", "first"),
    ("TimeZone", "UTC"),
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
)


def route(user: str = "app", database: str = "shop", **parameters: str) -> Route:
    return Route("orders", user, database, tuple(parameters.items()))


def told(memory: Memory, **parameters: str) -> dict[str, str] | None:
    """What differs from ``TOLD``."""
    pairs = memory.recall(route(**parameters))
    if pairs is None:
        return None
    assert [name for name, _ in pairs] == [name for name, _ in TOLD]
    return dict(set(pairs) - set(TOLD))


def remembering(*pairs: tuple[str, str], **parameters: str) -> Memory:
    memory = Memory()
    memory.remember(route(**parameters), tuple({**dict(TOLD), **dict(pairs)}.items()))
    return memory


def test_the_same_again_is_told_the_same() -> None:
    memory = remembering(DateStyle="German", options="-c geqo=off")
    assert told(memory, DateStyle="German", options="-c geqo=off") == {}


@pytest.mark.parametrize(
    "other",
    [
        route(user="other", DateStyle="German"),
        route(database="other", DateStyle="German"),
        route(DateStyle="ISO"),
        route(DateStyle="German", options="-c geqo=off"),
        route(),
        route(DateStyle="German", work_mem="1MB"),
        route(DateStyle="German", application_name="x"),
        route(DateStyle="German", client_encoding="UTF8"),
    ],
)
def test_what_was_never_accepted_or_told_is_for_the_compute(other: Route) -> None:
    assert remembering(DateStyle="German").recall(other) is None


@pytest.mark.parametrize("name", ["x", "", "psql - ~ !", "n" * 63])
def test_a_plain_application_name_is_the_client_s_own(name: str) -> None:
    memory = remembering(application_name="first")
    assert told(memory, application_name=name) == {"application_name": name}


@pytest.mark.parametrize("name", ["n" * 64, "\t", "größe", "\x7f"])
def test_another_one_only_where_it_was_told_before(name: str) -> None:
    assert told(remembering(application_name="first"), application_name=name) is None
    memory = remembering(("application_name", "as Postgres shows it"), application_name=name)
    assert told(memory, application_name=name) == {"application_name": "as Postgres shows it"}
    assert told(memory, application_name="plain") is None


@pytest.mark.parametrize(
    ("spelling", "shown"),
    [
        ("utf8", "UTF8"),
        ("UTF-8", "UTF8"),
        ("'UTF-8'", "UTF8"),
        ("unicode", "UTF8"),
        ("UNICODE", "UNICODE"),
        (" UNICODE", "UTF8"),
        ("sql_ascii", "SQL_ASCII"),
        ("ISO-8859-1", "LATIN1"),
        ("latin1", "LATIN1"),
        ("iso_8859_15", "LATIN9"),
        ("windows-1252", "WIN1252"),
    ],
)
def test_an_encoding_is_told_as_postgres_calls_it(spelling: str, shown: str) -> None:
    memory = remembering(("client_encoding", "LATIN2"), client_encoding="utf8")
    found = memory.recall(route(client_encoding=spelling))
    assert found is not None and dict(found)["client_encoding"] == shown


@pytest.mark.parametrize("encoding", ["", "nonsense", "latin2", "utf8é", "utf8" + "-" * 60])
def test_an_unknown_encoding_only_where_it_was_told_before(encoding: str) -> None:
    assert told(remembering(client_encoding="utf8"), client_encoding=encoding) is None
    memory = remembering(("client_encoding", "X"), client_encoding=encoding)
    assert told(memory, client_encoding=encoding) == {"client_encoding": "X"}


@pytest.mark.parametrize(
    ("server", "encoding", "is_certain"),
    [
        ("UTF8", "latin1", True),
        ("SQL_ASCII", "latin1", True),
        ("SQL_ASCII", "utf8", True),
        ("LATIN1", "latin1", True),
        ("LATIN1", "sql_ascii", True),
        ("LATIN1", "utf8", False),
        ("EUC_JP", "latin1", False),
    ],
)
def test_only_where_there_surely_is_a_conversion(
    server: str, encoding: str, is_certain: bool
) -> None:
    memory = remembering(("server_encoding", server), client_encoding="sqlascii")
    assert (memory.recall(route(client_encoding=encoding)) is not None) is is_certain


def test_other_letters_look_different_in_another_encoding() -> None:
    memory = remembering(("search_path", "größe"), client_encoding="utf8")
    assert memory.recall(route(client_encoding="latin1")) is None


@pytest.mark.parametrize("digits", ["3", "-15", "0", "-0", "2"])
def test_valid_digits_of_floats_change_nothing(digits: str) -> None:
    assert told(remembering(), extra_float_digits=digits) == {}


@pytest.mark.parametrize("digits", ["4", "-16", "", "x", "3.0", "99"])
def test_others_are_for_the_compute(digits: str) -> None:
    assert told(remembering(), extra_float_digits=digits) is None


def test_a_setting_in_two_spellings_is_not_judged() -> None:
    memory = remembering(application_name="first")
    assert told(memory, application_name="b", Application_Name="c") is None
    memory = remembering(Application_Name="first")
    assert told(memory, Application_Name="first") == {}
    assert told(memory, Application_Name="second") is None


def test_the_last_word_counts() -> None:
    memory = remembering()
    memory.remember(route(), (*TOLD[:1], ("TimeZone", "CET"), *TOLD[2:]))
    assert told(memory) == {"TimeZone": "CET"}


def test_the_oldest_go() -> None:
    memory = Memory()
    for number in range(ENTRIES_MAX):
        memory.remember(route(user=f"u{number}"), TOLD)
    memory.remember(route(user="u0"), TOLD)
    memory.remember(route(user="new"), TOLD)
    assert memory.recall(route(user="u1")) is None
    assert memory.recall(route(user="u0")) == memory.recall(route(user="u2")) == TOLD


def test_an_overlong_packet_is_not_kept() -> None:
    options = "-c geqo=off".ljust(PACKET_BYTES_MAX + 1)
    assert told(remembering(options=options), options=options) is None


@pytest.mark.parametrize("number", [0, 1, 2**31, 2**64, 2**31 - 4194305 - 1, 2**31 - 4194305])
def test_a_process_id_that_no_kernel_gives(number: int) -> None:
    assert 4194304 < process_id(number) < 2**31


def test_process_ids_differ_for_as_long_as_they_can() -> None:
    assert len({process_id(number) for number in range(1000)}) == 1000
