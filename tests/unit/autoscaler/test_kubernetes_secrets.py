"""Login facts and verifiers as Secrets."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.failures import DataDamaged
from torpor_api.secret_keys import key_of_role
from torpor_autoscaler.adapters.kubernetes.secrets import facts_document, facts_of, verifiers_of

FACTS = LoginFacts(
    roles=(RoleFacts(name="app", verifier="SCRAM…", connection_limit=3), RoleFacts(name="ö/x")),
    databases=("app",),
)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def test_facts_come_back_as_they_went() -> None:
    secret = facts_document("shop.team", "system", 5, FACTS)
    assert facts_of(secret) == (5, FACTS)
    assert secret["metadata"]["name"] == "login-facts-team.shop"
    assert secret["metadata"]["namespace"] == "system"


def test_what_a_newer_release_has_said_beside_them_is_no_loss_after_a_rollback() -> None:
    secret = facts_document("shop.team", "system", 5, FACTS)
    body = base64.b64decode(secret["data"]["facts.json"]).decode()
    assert body.startswith('{"roles":[{')
    newer = body.replace('{"roles":[{', '{"said_later":1,"roles":[{"said_later":2,')
    secret["data"]["facts.json"] = encoded(newer)
    assert facts_of(secret) == (5, FACTS)


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"epoch": encoded("5")},
        {"epoch": encoded("x"), "facts.json": encoded("{}")},
        {"epoch": encoded("5"), "facts.json": encoded('{"roles": 3}')},
        {"epoch": "!", "facts.json": "!"},
    ],
)
def test_a_secret_of_somebody_else_is_no_login_fact(data: Any) -> None:
    with pytest.raises(DataDamaged, match="login-facts"):
        facts_of({"metadata": {"name": "login-facts-a.b"}, "data": data})


def test_verifiers_are_found_by_role_whatever_it_is_called() -> None:
    data = {key_of_role(role): encoded(f"verifier of {role}") for role in ("app", "ö/x", "hex.y")}
    found = verifiers_of({"data": data | {"hex.zz": encoded("?")}})
    assert found == {role: f"verifier of {role}" for role in ("app", "ö/x", "hex.y")}
