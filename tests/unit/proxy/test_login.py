"""Who may in, judged by exported facts: each refusal alone, in its order, with its words."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api.facts import RoleFacts
from torpor_api.scram import Verifier
from torpor_api.scram import verifier_of as make_verifier
from torpor_proxy.core import login
from torpor_proxy.core.refusals import (
    DatabaseUnknown,
    LoginFailed,
    NotPermitted,
    Refusal,
    TooManySessions,
)
from torpor_proxy.core.routing import Route

ROUTE = Route("shop", "app", "app")

VERIFIER = make_verifier("secret", b"0123456789abcdef", 4096)

EVERYBODY = ("0.0.0.0/0", "::/0")


def role(**facts: Any) -> RoleFacts:
    return RoleFacts(**{"name": "app", "verifier": str(VERIFIER), **facts})


def judged(
    given: RoleFacts | None = None,
    *,
    databases: tuple[str, ...] | None = ("app",),
    sessions: int = 0,
) -> Refusal | None:
    return login.judge(ROUTE, given or role(), databases, sessions)


def verifier_of(
    given: RoleFacts | None, now: float = 0.0, *, allow: tuple[str, ...] = EVERYBODY
) -> tuple[Verifier | None, str]:
    return login.verifier_of(given, allow, "10.0.0.1", now)


# --- the verifier ------------------------------------------------------------------------


def test_the_role_s_own_verifier() -> None:
    assert verifier_of(role()) == (VERIFIER, "")


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (None, "no such role"),
        (role(verifier=None), "no SCRAM-SHA-256 password"),
        (role(verifier="md5abc"), "stored in another form"),
        (role(valid_until_s=99.0), "expired"),
    ],
)
def test_a_mock_exchange_and_the_reason_for_the_log(given: RoleFacts | None, reason: str) -> None:
    verifier, why = verifier_of(given, 100.0)
    assert verifier is None and reason in why


def test_a_password_is_good_until_its_last_moment() -> None:
    assert verifier_of(role(valid_until_s=100.0), 100.0)[0] == VERIFIER


def test_from_an_address_that_is_not_allowed_no_password_is_right() -> None:
    for allow in (("192.168.0.0/16", "::1/128"), ()):
        verifier, why = verifier_of(role(), allow=allow)
        assert verifier is None and "10.0.0.1" in why


# --- the judgement -----------------------------------------------------------------------


def test_welcome() -> None:
    assert judged() is None


def test_a_role_that_may_not_log_in() -> None:
    refusal = judged(role(can_login=False))
    assert isinstance(refusal, NotPermitted)
    assert refusal.message == 'role "app" is not permitted to log in'


def test_a_superuser_that_the_resource_does_not_declare() -> None:
    refusal = judged(role(is_admitted=False))
    assert isinstance(refusal, NotPermitted)
    assert "superuser: true" in refusal.hint and "shop" in refusal.hint


def test_a_database_that_there_is_not() -> None:
    refusal = judged(databases=("b", "a"))
    assert isinstance(refusal, DatabaseUnknown) and refusal.sqlstate == "3D000"
    assert "a, b" in refusal.hint


def test_an_awake_database_says_itself_what_there_is() -> None:
    assert judged(databases=None) is None


@pytest.mark.parametrize(
    ("limit", "sessions", "is_refused"),
    [(-1, 10_000, False), (2, 1, False), (2, 2, True), (2, 3, True), (0, 0, True)],
)
def test_the_connection_limit(limit: int, sessions: int, is_refused: bool) -> None:
    refusal = judged(role(connection_limit=limit), sessions=sessions)
    assert isinstance(refusal, TooManySessions) is is_refused


def test_a_stranger_learns_nothing_from_the_one_answer() -> None:
    refusal = login.failed(ROUTE, "10.0.0.1", "no such role")
    assert isinstance(refusal, LoginFailed) and refusal.sqlstate == "28P01"
    assert "no such role" not in refusal.message + refusal.hint
    assert refusal.reason == "no such role" and "10.0.0.1" in refusal.hint
    assert login.failed(ROUTE, "10.0.0.1", "wrong password").as_report() == refusal.as_report()


# --- addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "allow", "is_in"),
    [
        ("10.1.2.3", ("10.0.0.0/8",), True),
        ("11.1.2.3", ("10.0.0.0/8",), False),
        ("11.1.2.3", ("10.0.0.0/8", "11.0.0.0/8"), True),
        ("::1", ("::1/128",), True),
        ("::1", ("0.0.0.0/0",), False),
        ("10.1.2.3", ("::/0",), False),
        ("::ffff:10.1.2.3", ("10.0.0.0/8",), True),
        ("::ffff:10.1.2.3", ("::/0",), False),
        ("fe80::1%eth0", ("fe80::/10",), True),
        ("10.1.2.3", (), False),
    ],
)
def test_addresses(address: str, allow: tuple[str, ...], is_in: bool) -> None:
    assert login.is_allowed(address, allow) is is_in
