"""Quoting: whatever a tenant calls things stays a name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_compute.core.access_rules import hba_text, ident_text
from torpor_compute.core.quoting import file_token, identifier, literal

words = st.text(st.characters(exclude_characters="\0"), max_size=40)


@given(words)
def test_an_identifier_holds_every_name(name: str) -> None:
    quoted = identifier(name)
    assert quoted[0] == quoted[-1] == '"'
    assert quoted[1:-1].replace('""', "").count('"') == 0
    assert quoted[1:-1].replace('""', '"') == name


@given(words)
def test_a_literal_ends_where_it_should(text: str) -> None:
    quoted = literal(text)
    assert quoted.endswith("'")
    body = quoted.removeprefix(" E")[1:-1]
    assert body.replace("''", "").count("'") == 0
    if "\\" in text:
        assert quoted.startswith(" E'") and body.replace("\\\\", "").count("\\") == 0
        body = body.replace("\\\\", "\\")
    assert body.replace("''", "'") == text


@pytest.mark.parametrize("quote", [identifier, literal, file_token])
def test_a_zero_byte_is_refused(quote: object) -> None:
    with pytest.raises(ValueError, match="zero byte"):
        quote("a\0b")  # type: ignore[operator]


@pytest.mark.parametrize("name", ["a\nb", "a\rb", 'a"b'])
def test_what_a_configuration_file_can_not_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="can't stand"):
        file_token(name)


def test_two_doors_and_no_third() -> None:
    lines = [line.split() for line in hba_text().splitlines() if not line.startswith("#")]
    assert lines == [
        ["local", "all", '"torpor_admin"', "peer", "map=torpor_admin"],
        ["local", "all", "all", "peer", "map=torpor"],
    ]


def test_on_a_network_the_second_door_asks_for_a_certificate() -> None:
    lines = [line.split() for line in hba_text(over_network=True).splitlines()[1:]]
    assert lines == [
        ["local", "all", '"torpor_admin"', "peer", "map=torpor_admin"],
        ["hostssl", "all", "all", "all", "cert", "map=torpor"],
    ]


@pytest.mark.parametrize("user", ["root", "/^.*$", "+wheel", "all"])
def test_an_operating_system_user_is_a_name_and_no_pattern(user: str) -> None:
    lines = [line.split() for line in ident_text(user, user).splitlines()[1:]]
    assert lines == [
        ["torpor_admin", f'"{user}"', '"torpor_admin"'],
        ["torpor", f'"{user}"', "+torpor_login"],
    ]
