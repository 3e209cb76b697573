"""Where sessions of a log go: roles and databases as they were mapped, and read-only ones."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api.failures import InvalidRequest
from torpor_cli.replay.statement import Contents, Session
from torpor_cli.replay.targets import READ_ONLY, Routes, Targets, pairs, refuse_mixture
from torpor_cli.uri import environment_of


def session(user: str = "ann", database: str = "app", application: str = "") -> Session:
    return Session(0, user, database, application, 0.0)


def targets(asked: list[Any] | None = None, **wish: Any) -> Targets:
    def connect(role: str | None, database: str | None) -> dict[str, str]:
        if asked is not None:
            asked.append((role, database))
        return {"user": role or "owner", "dbname": database or "first", "options": "endpoint=shop"}

    return Targets(connect, Routes(**({"roles": {}, "databases": {}} | wish)))


@pytest.mark.parametrize(
    ("wish", "role"),
    [
        ({}, "owner"),
        ({"declared": ["ann"]}, "ann"),
        ({"declared": ["ann"], "role": "bob"}, "bob"),
        ({"roles": {"ann": "carl"}, "role": "bob", "declared": ["ann"]}, "carl"),
        ({"roles": {"other": "carl"}}, "owner"),
    ],
)
def test_roles(wish: dict[str, Any], role: str) -> None:
    assert targets(**wish).reach(session())["user"] == role


def test_databases_and_applications() -> None:
    found = targets(databases={"app": "copy", "blog": None})
    assert found.reach(session())["dbname"] == "copy"
    assert found.reach(session(database="blog"))["dbname"] == "first"
    assert found.reach(session(application="worker"))["application_name"] == "worker"
    assert found.reach(session())["application_name"] == "torpor replay"


def test_only_reads_is_a_setting_of_the_session_itself() -> None:
    assert targets().reach(session())["options"] == "endpoint=shop"
    assert targets(only_reads=True).reach(session())["options"] == f"endpoint=shop {READ_ONLY}"


def test_a_place_is_asked_once_for_each_way() -> None:
    asked: list[Any] = []
    found = targets(asked, declared=["ann"])
    for user in ("ann", "bob", "ann", "eve"):
        found.reach(session(user))
    assert asked == [("ann", None), (None, None)]


@pytest.mark.parametrize(
    ("option", "given", "said"),
    [
        ("--user", ["ann"], "--user 'ann': write LOG=ROLE"),
        ("--user", ["=ann"], "--user '=ann': write LOG=ROLE"),
        ("--user", ["ann="], "--user 'ann=': write LOG=ROLE"),
        ("--user", ["ann=a", "ann=b"], "--user ann: is given twice"),
    ],
)
def test_bad_pairs(option: str, given: list[str], said: str) -> None:
    with pytest.raises(InvalidRequest, match=said):
        pairs(option, given)


def test_pairs() -> None:
    assert pairs("--database", ["a", "b=c"], may_be_one=True) == {"a": None, "b": "c"}


def test_which_database_is_meant_has_to_be_clear() -> None:
    contents = Contents()
    contents.by_database.update({"app": 3, "blog": 2})
    with pytest.raises(InvalidRequest, match=r"several databases: app \(3 statements\), blog"):
        refuse_mixture(contents, [])
    with pytest.raises(InvalidRequest, match="--database shop: the log has no statement of it"):
        refuse_mixture(contents, ["shop"])
    refuse_mixture(contents, ["app"])


def test_variables_of_libpq() -> None:
    parameters = {"host": "h", "dbname": "d", "connect_timeout": "3", "target_session_attrs": "any"}
    assert environment_of(parameters) == {
        "PGHOST": "h",
        "PGDATABASE": "d",
        "PGCONNECT_TIMEOUT": "3",
        "PGTARGETSESSIONATTRS": "any",
    }
