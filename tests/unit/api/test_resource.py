"""The resource: every combination that can't be is refused in one line that says what can."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from support.specs import ACCEPTED, REFUSED
from torpor_api.failures import InvalidRequest
from torpor_api.manifest import parse_resource
from torpor_api.resource import API_VERSION, KIND, Condition, DatabaseStatus, ServerlessDatabase
from torpor_api.values import STATUS_LINE_CHARACTERS_MAX


def document(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": "shop"},
        "spec": spec,
    }


def refusal(document: object) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse_resource(document)
    return refused.value.message


@pytest.mark.parametrize(("spec", "line"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_can_not_be_is_refused_in_one_line(spec: dict[str, Any], line: str) -> None:
    message = refusal(document(**spec))
    assert message.startswith("shop: ") and line in message
    assert "\n" not in message


@pytest.mark.parametrize("spec", ACCEPTED, ids=lambda value: str(value)[:40])
def test_what_can_be_is_accepted(spec: dict[str, Any]) -> None:
    assert parse_resource(document(**spec)).spec


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"apiVersion": "v1"}, "apiVersion: Input should be 'torpor.dev/v1alpha1' (got 'v1')"),
        ({"kind": "Pod"}, "kind: Input should be 'ServerlessDatabase' (got 'Pod')"),
        ({"metadata": {"name": "Shop_1"}}, "'Shop_1' is not a DNS label: use lower-case letters"),
        ({"metadata": {}}, "metadata.name: Field required"),
        ({"metadata": {"name": "a", "namespace": "b.c"}}, "metadata.namespace: 'b.c' is not a DNS"),
        ({"metadata": None}, "metadata: Input should be"),
        ({"spce": {}}, "spce: unknown field; look for a typing mistake"),
    ],
)
def test_the_frame_is_checked_too(changed: dict[str, Any], line: str) -> None:
    assert line in refusal({**document(), **changed})


@pytest.mark.parametrize("nothing", [None, [], "text", 7])
def test_what_is_no_resource_at_all_is_refused(nothing: object) -> None:
    assert refusal(nothing).startswith("?: ServerlessDatabase: ")


def test_several_faults_are_several_lines() -> None:
    lines = refusal(document(idleTimeout="soon", maxCU=0, more=1)).splitlines()
    assert [line.split(":")[1].strip() for line in lines] == [
        "spec.maxCU",
        "spec.idleTimeout",
        "spec.more",
    ]


@pytest.mark.parametrize(
    "roles",
    [
        [{"name": "app", "password": ["hunter2"]}],
        [{"name": "app", "password": 12345}],
        [{"name": "app", "password": "hunter2" * 200}],
        {"name": "app", "password": "hunter2"},
    ],
)
def test_no_refusal_repeats_a_password(roles: object) -> None:
    message = refusal(document(roles=roles))
    assert "hunter2" not in message and "12345" not in message


@pytest.mark.parametrize(
    ("written", "roles", "databases"),
    [
        ({}, ["app"], [("app", "app")]),
        ({"roles": [{"name": "shop"}, {"name": "ro"}]}, ["shop", "ro"], [("shop", "shop")]),
        (
            {"databases": [{"name": n, "owner": o} for n, o in ("ax", "by", "cx")]},
            ["x", "y"],
            [("a", "x"), ("b", "y"), ("c", "x")],
        ),
    ],
)
def test_roles_and_databases_follow_from_each_other(
    written: dict[str, Any], roles: list[str], databases: list[tuple[str, str]]
) -> None:
    spec = parse_resource(document(**written)).spec
    assert [role.name for role in spec.roles] == roles
    assert [(one.name, one.owner) for one in spec.databases] == databases


def test_the_defaults_are_a_database_that_sleeps_after_five_minutes() -> None:
    spec = parse_resource(document()).spec
    assert (spec.min_cu, spec.max_cu) == (Decimal(0), Decimal(1))
    assert (spec.idle_timeout, spec.keep_awake) == (300.0, False)
    assert [role.name for role in spec.roles] == ["app"]
    assert [(each.name, each.owner) for each in spec.databases] == [("app", "app")]


def test_names_are_reserved_for_what_postgres_reserves_them_for() -> None:
    roles = [{"name": "postgres"}, {"name": "Public"}]
    spec = parse_resource(
        document(roles=roles, databases=[{"name": "public", "owner": "postgres"}])
    ).spec
    assert [role.name for role in spec.roles] == ["postgres", "Public"]
    assert spec.databases[0].name == "public"


def test_its_name_is_the_endpoint_name() -> None:
    elsewhere = {**document(), "metadata": {"name": "shop", "namespace": "team"}}
    assert parse_resource(document()).name == "shop"
    assert parse_resource(elsewhere).name == "shop.team"


def test_a_status_cuts_what_is_too_long_for_it() -> None:
    endless = "x" * 100_000
    condition = Condition(type="Ready", status="False", reason="Failed", message=endless)
    status = DatabaseStatus(conditions=(condition,), why_awake=(endless, "short"))
    assert [len(line) for line in status.why_awake] == [STATUS_LINE_CHARACTERS_MAX, 5]
    assert len(status.conditions[0].message) == STATUS_LINE_CHARACTERS_MAX
    assert status.conditions[0].message.endswith("...")


def test_outside_it_speaks_camel_case_and_units() -> None:
    shown = parse_resource(
        document(idleTimeout="90s", minCU=0.25, roles=[{"name": "a"}, {"name": "app"}])
    )
    spec: Any = shown.as_json()["spec"]
    assert (spec["idleTimeout"], spec["minCU"]) == ("1m30s", 0.25)
    assert spec["roles"][0]["connectionLimit"] == -1


def test_no_password_is_ever_shown() -> None:
    resource = parse_resource(document(roles=[{"name": "app", "password": "hunter2"}]))
    assert resource.spec.roles[0].password == "hunter2"
    assert "hunter2" not in str(resource.as_json())
    spec: Any = resource.as_json()["spec"]
    assert "password" not in spec["roles"][0]


def test_what_it_shows_it_reads_again() -> None:
    before = parse_resource(document(idleTimeout="1001ms", maxCU=2, storage={"size": "1Ti"}))
    assert parse_resource(before.as_json()) == before


def test_a_new_database_sleeps_unclaimed() -> None:
    status = ServerlessDatabase.model_validate(document()).status
    assert status == DatabaseStatus()
    assert (status.phase, status.epoch, status.compute) == ("Suspended", 0, None)
