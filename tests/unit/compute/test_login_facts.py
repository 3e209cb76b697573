"""Who may log in, from rows of ``pg_authid``."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from torpor_api.scram import verifier_of
from torpor_compute.core.login_facts import RoleRow, facts_of, needs_admission

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
