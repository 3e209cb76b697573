"""Databases that are there already: which they are, and whether the scenario can be theirs."""

from __future__ import annotations

import socket
from typing import Any, cast

import pytest

from load import given
from load.scenario import Scenario
from load.scenarios import BURST, SCANNER
from torpor_api.failures import InvalidRequest
from torpor_cli.local.sockets import Address
from torpor_cli.place import Place
from torpor_cli.uri import Connection

ROUTED = "postgresql://app:secret@db.example:6432/app?options=endpoint%3Dshop"

INSIDE = "postgresql://app:secret@shop.team.svc:5432/app?sslmode=require"


class Shops:
    """A place whose databases have this spec."""

    def __init__(self, *names: str, **spec: Any) -> None:
        self._names = names
        self._spec = {"idleTimeout": "2s"} | spec

    def named(self, name: str) -> str:
        return name

    def ask_autoscaler(self, request: str, **asked: Any) -> Any:
        return {"databases": [{"name": name} for name in self._names], "has_more": False}

    def ask_cluster(self, request: str, *, name: str) -> Any:
        return {"resource": {"metadata": {"name": name}, "spec": self._spec}}

    def connection(self, name: str) -> Connection:
        host = Address(f"{name}.svc", 5432)
        return Connection(name, host, "app", "app", "p/w", is_host_its_own=True)


def place(*names: str, **spec: Any) -> Place:
    return cast(Place, Shops(*names, **spec))


def test_a_uri_says_which_database_it_is_or_has_a_number() -> None:
    assert given.name_of(ROUTED, 3) == "shop"
    assert given.name_of("postgresql://app@db.example/app", 3) == "load-003"


@pytest.mark.parametrize(
    ("host", "known", "found"),
    [
        ("shop.team.svc", {"shop.team", "shop"}, "shop.team"),
        ("shop.team.db.example", {"shop.team"}, "shop.team"),
        ("shop.default.svc", {"shop"}, "shop"),
        ("shop.db.example", {"shop"}, "shop"),
        ("shop.other.svc", {"shop.team"}, "load-003"),
        ("10.0.0.7", {"shop"}, "load-003"),
    ],
)
def test_its_host_says_so_too_where_such_a_database_is_known(
    host: str, known: set[str], found: str
) -> None:
    assert given.name_of(f"postgresql://app@{host}:5432/app", 3, known) == found


def test_a_database_that_nobody_can_be_asked_about_is_named_before_it_gets_any_load() -> None:
    known = place("shop", "shop.team")
    found = given.by_uri([ROUTED, INSIDE], known)
    assert [target.name for target in found] == ["shop", "shop.team"]
    with pytest.raises(InvalidRequest, match=r"--uri 2 of 2 is of the database 'load-001'"):
        given.by_uri([ROUTED, "postgresql://app@db.example/app"], known)


def test_by_their_names_they_are_reached_where_the_place_says_or_another_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: ["known"])
    (inside,) = given.by_name(["shop.team"], place(), None)
    assert (inside.name, inside.uri) == (
        "shop.team",
        "postgresql://app:p%2Fw@shop.team.svc:5432/app?sslmode=require",
    )
    (forwarded,) = given.by_name(["shop.team"], place(), Address("127.0.0.1", 6432))
    expected = "postgresql://app:p%2Fw@127.0.0.1:6432/app?options=endpoint%3Dshop.team"
    assert forwarded.uri == expected


def test_where_only_the_cluster_knows_the_way_that_is_said_at_once() -> None:
    with pytest.raises(InvalidRequest, match=r"shop\.invalid\.svc:5432.*--via HOST:PORT"):
        given.by_name(["shop.invalid"], place(), None)


@pytest.mark.parametrize("timeout", ["5m", "auto", "1s"])
def test_one_that_sleeps_at_other_times_than_the_scenario_s_is_refused(timeout: str) -> None:
    given.refuse_unfit(BURST, ["shop"], place())
    with pytest.raises(InvalidRequest, match=f"shop has the idleTimeout {timeout}: burst .* 2s"):
        given.refuse_unfit(BURST, ["shop"], place(idleTimeout=timeout))
    given.refuse_unfit(BURST, ["shop"], None)


@pytest.mark.parametrize(("scenario", "is_fit"), [(SCANNER, False), (BURST, True)])
def test_strangers_need_a_database_that_nobody_uses(scenario: Scenario, is_fit: bool) -> None:
    given.refuse_unfit(scenario, ["shop", "blog"], None)
    if is_fit:
        given.refuse_unfit(scenario, ["shop"], None)
    else:
        with pytest.raises(InvalidRequest, match=r"scanner needs two databases.*given is shop"):
            given.refuse_unfit(scenario, ["shop"], None)
    with pytest.raises(InvalidRequest, match=r"shop is given more than once"):
        given.refuse_unfit(scenario, ["shop", "blog", "shop"], None)
