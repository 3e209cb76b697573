"""Which endpoint a client means: each form alone, forms that agree, forms that do not."""

from __future__ import annotations

import pytest

from torpor_proxy.core.refusals import EndpointDisagrees, EndpointUnnamed, NotSupported
from torpor_proxy.core.routing import Route, route
from torpor_proxy.core.startup import Startup

DOMAIN = "db.example.org"


def routed(server_name: str | None = None, **parameters: str) -> object:
    given = {"user": "app", "database": "app", **parameters}
    return route(Startup(0, tuple(given.items())), server_name, DOMAIN)


APP = Route("shop", "app", "app")


@pytest.mark.parametrize(
    "found",
    [
        routed("shop.db.example.org"),
        routed("SHOP.db.example.org."),
        routed(options="endpoint=shop"),
        routed(options="-c endpoint=shop"),
        routed(options="-cendpoint=shop"),
        routed(database="shop/app"),
        routed(user="app@shop"),
    ],
)
def test_each_form_alone(found: object) -> None:
    assert found == APP


@pytest.mark.parametrize(
    "found",
    [
        routed("shop.db.example.org", options="endpoint=shop", database="shop/app"),
        routed("shop.db.example.org", user="app@shop"),
        routed(options="endpoint=shop", user="app@shop"),
        routed(options="endpoint=shop endpoint=shop"),
        # Host names that are of another kind name nothing.
        routed("localhost", options="endpoint=shop"),
        routed("db.example.org", options="endpoint=shop"),
        routed("a.b.db.example.org", options="endpoint=shop"),
    ],
)
def test_forms_that_agree(found: object) -> None:
    assert found == APP


@pytest.mark.parametrize(
    "found",
    [
        routed("shop.db.example.org", options="endpoint=bank"),
        routed("shop.db.example.org", database="bank/app"),
        routed(options="endpoint=shop", database="bank/app"),
        routed(options="endpoint=shop -c endpoint=bank"),
    ],
)
def test_forms_that_disagree_are_refused_with_both_names(found: object) -> None:
    assert isinstance(found, EndpointDisagrees)
    assert "'shop'" in found.message and "'bank'" in found.message


@pytest.mark.parametrize(
    "found",
    [
        routed(),
        routed("localhost"),
        routed("other.example.org"),
        routed("-.db.example.org"),
        routed(database="not_a_label/app"),
        routed(user="app@Not.A.Label"),
    ],
)
def test_no_name_at_all(found: object) -> None:
    assert isinstance(found, EndpointUnnamed)
    assert "endpoint%3DNAME" in found.hint


def test_users_may_be_called_like_mail_addresses() -> None:
    assert routed(user="bob@example", options="endpoint=shop") == Route(
        "shop", "bob@example", "app"
    )
    assert routed(user="bob@a.b@shop") == Route("shop", "bob@a.b", "app")


def test_the_database_is_called_like_the_user_where_it_is_not_named() -> None:
    for database in ("", "shop/"):
        assert routed(user="bob", database=database, options="endpoint=shop") == Route(
            "shop", "bob", "bob"
        )
    startup = Startup(0, (("user", "bob@shop"),))
    assert route(startup, None, DOMAIN) == Route("shop", "bob", "bob")


def test_what_is_left_for_postgres() -> None:
    found = routed(
        options=r"-c endpoint=shop -c search_path=a\ b --geqo=off",
        application_name="x",
        _pq_x="kept",
        **{"_pq_.foo": "1"},
    )
    assert isinstance(found, Route)
    assert found.parameters == (
        ("application_name", "x"),
        ("_pq_x", "kept"),
        ("options", r"-c search_path=a\ b --geqo=off"),
    )


@pytest.mark.parametrize("value", ["true", "on", "1", "YES", "database", "garbage"])
def test_replication_is_refused_in_words(value: str) -> None:
    found = routed(options="endpoint=shop", replication=value)
    assert isinstance(found, NotSupported)
    assert "replication" in found.message


@pytest.mark.parametrize("value", ["false", "off", "0", "no"])
def test_no_replication_is_an_ordinary_session(value: str) -> None:
    assert routed(options="endpoint=shop", replication=value) == APP
