"""Who may log in, from rows of ``pg_authid``."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from torpor_api.facts import FACTS_BYTES_MAX
from torpor_api.scram import verifier_of
from torpor_compute.core.login_facts import (
    ROLES_MAX,
    RoleRow,
    exported,
    facts_of,
    needs_admission,
)

VERIFIER = str(verifier_of("secret", b"0123456789abcdef", 4096))

APP = RoleRow(
    name="app",
    password=VERIFIER,
    can_login=True,
    is_superuser=False,
    is_member=True,
    valid_until_s=None,
    connection_limit=-1,
)


def row(**changes: Any) -> RoleRow:
    return dataclasses.replace(APP, **changes)


def test_an_admitted_role() -> None:
    facts = facts_of(APP, ())
    assert (facts.name, facts.verifier, facts.can_login, facts.is_admitted) == (
        "app",
        VERIFIER,
        True,
        True,
    )


@pytest.mark.parametrize("password", [None, "md5" + "0" * 32, "SCRAM-SHA-256$broken"])
def test_a_password_of_another_kind_is_none(password: str | None) -> None:
    assert facts_of(row(password=password), ()).verifier is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, None), (math.inf, None), (-math.inf, 0.0), (1_800_000_000.5, 1_800_000_000.5)],
)
def test_until_when_the_password_is_valid(value: float | None, expected: float | None) -> None:
    assert facts_of(row(valid_until_s=value), ()).valid_until_s == expected


@pytest.mark.parametrize(
    ("changes", "superusers", "is_admitted", "needs_it"),
    [
        ({}, (), True, False),
        ({"is_member": False}, (), False, True),
        ({"is_member": False, "can_login": False}, (), False, False),
        ({"is_superuser": True}, (), False, False),
        ({"is_superuser": True}, ("app",), True, False),
        ({"is_superuser": True, "is_member": False}, ("app",), False, True),
        ({"is_superuser": True, "is_member": False}, ("other",), False, False),
    ],
)
def test_who_is_admitted(
    changes: dict[str, Any], superusers: tuple[str, ...], is_admitted: bool, needs_it: bool
) -> None:
    assert facts_of(row(**changes), superusers).is_admitted is is_admitted
    assert needs_admission(row(**changes), superusers) is needs_it


def rows(number: int, **changes: Any) -> list[RoleRow]:
    return [row(name=f"role_{each:05}", **changes) for each in range(number)]


def test_what_has_room_is_exported_whole() -> None:
    facts = exported(rows(3), ["app", "other"], ())
    assert facts.is_whole and facts.databases == ("app", "other")
    assert [role.name for role in facts.roles] == ["role_00000", "role_00001", "role_00002"]


def test_too_many_roles_are_not_whole_and_the_oldest_are_there() -> None:
    facts = exported(rows(ROLES_MAX), ["app"], ())
    assert not facts.is_whole and facts.databases == ("app",)
    assert len(facts.model_dump_json()) <= FACTS_BYTES_MAX
    assert facts.roles[0].name == "role_00000" and 2000 < len(facts.roles) < ROLES_MAX


def test_roles_that_may_not_log_in_are_missed_by_nobody() -> None:
    facts = exported([APP, *rows(ROLES_MAX, can_login=False, password=None)], ["app"], ())
    assert facts.is_whole and len(facts.model_dump_json()) <= FACTS_BYTES_MAX
    assert facts.roles[0].name == "app"


def test_too_many_databases_leave_room_for_roles() -> None:
    names = [f"database with a long name {number:07}" for number in range(ROLES_MAX)]
    facts = exported(rows(ROLES_MAX), names, ())
    assert not facts.is_whole and len(facts.model_dump_json()) <= FACTS_BYTES_MAX
    assert 3000 < len(facts.databases) < ROLES_MAX and len(facts.roles) > 1500


def test_no_name_makes_more_roles_fit_than_are_looked_at() -> None:
    facts = exported(rows(ROLES_MAX, password=None), [], ())
    assert not facts.is_whole


@pytest.mark.parametrize("name", ['"' * 63, "\x01" * 63, "é" * 31])
def test_odd_names_are_counted_as_they_are_written(name: str) -> None:
    facts = exported([row(name=name)] * ROLES_MAX, [name] * ROLES_MAX, ())
    assert len(facts.model_dump_json().encode()) <= FACTS_BYTES_MAX
