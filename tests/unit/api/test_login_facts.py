"""Who may log in to a database that sleeps."""

from __future__ import annotations

from typing import Any

from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.login_facts import facts_of
from torpor_api.resource import ServerlessDatabase


def resource(generation: int, observed: int, **role: Any) -> ServerlessDatabase:
    return ServerlessDatabase.model_validate(
        {
            "metadata": {"name": "shop", "generation": generation},
            "spec": {"roles": [{"name": "app", **role}]},
            "status": {"observedGeneration": observed},
        }
    )


EXPORTED = LoginFacts(
    roles=(RoleFacts(name="app", verifier="old"), RoleFacts(name="made-in-sql", verifier="v")),
    databases=("app", "made_in_sql"),
)


def test_before_the_first_export_they_follow_from_the_resource() -> None:
    wanted = resource(1, 0, connectionLimit=3, validUntil="1970-01-02T00:00:00Z")
    facts = facts_of(wanted, None, {"app": "new"})
    role = RoleFacts(name="app", verifier="new", valid_until_s=86400.0, connection_limit=3)
    assert facts == LoginFacts(roles=(role,), databases=("app",))


def test_exported_facts_are_the_truth_once_the_spec_is_carried_out() -> None:
    assert facts_of(resource(2, 2), EXPORTED, {"app": "new"}) == EXPORTED


def test_a_new_password_counts_before_any_compute_has_seen_it() -> None:
    facts = facts_of(resource(3, 2), EXPORTED, {"app": "new"})
    by_name = {role.name: role.verifier for role in facts.roles}
    assert by_name == {"app": "new", "made-in-sql": "v"}
    assert facts.databases == ("app", "made_in_sql")


def test_facts_that_are_not_whole_stay_so_under_a_new_password() -> None:
    part = EXPORTED.model_copy(update={"is_whole": False})
    assert not facts_of(resource(3, 2), part, {"app": "new"}).is_whole
