"""Which endpoint a client means: each form alone, forms that agree, forms that do not."""

from __future__ import annotations

import pytest

from torpor_proxy.core.refusals import EndpointDisagrees, EndpointUnnamed, NotSupported
from torpor_proxy.core.routing import Route, route
from torpor_proxy.core.startup import Startup

DOMAINS = ("example.org", "db.example.org", "svc")


def routed(server_name: str | None = None, **parameters: str) -> object:
    given = {"user": "app", "database": "app", **parameters}
    return route(Startup(0, tuple(given.items())), server_name, DOMAINS)


APP = Route("shop", "app", "app")


@pytest.mark.parametrize(
    "found",
    [
        routed("shop.db.example.org"),
        routed("SHOP.db.example.org."),
        routed("shop.default.db.example.org"),
        routed("shop.default.svc"),
        routed(options="endpoint=shop"),
        routed(options="-c endpoint=shop"),
        routed(options="-cendpoint=shop"),
        routed(options="endpoint=shop.default"),
        routed(database="shop/app"),
        routed(database="shop.default/app"),
        routed(user="app@shop"),
        routed(user="app@shop.default"),
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
        routed(options="endpoint=shop endpoint=shop.default"),
        routed("shop.default.svc", database="shop/app", user="app@shop.default"),
        # Host names that are of another kind name nothing.
        routed("localhost", options="endpoint=shop"),
        routed("db.example.org", options="endpoint=shop"),
        routed("a.b.c.db.example.org", options="endpoint=shop"),
    ],
)
def test_forms_that_agree(found: object) -> None:
    assert found == APP


@pytest.mark.parametrize(
    "found",
    [
        routed("shop.team.db.example.org"),
        routed("shop.team.svc"),
        routed(options="endpoint=shop.team"),
        routed(database="shop.team/app"),
        routed(user="app@shop.team"),
        routed("shop.team.svc", options="endpoint=shop.team", user="app@shop.team"),
    ],
)
def test_each_form_with_a_namespace(found: object) -> None:
    assert found == Route("shop.team", "app", "app")


def test_of_domains_that_end_alike_the_longest_counts() -> None:
    """Or ``shop.db.example.org`` would be the database ``shop`` in the namespace ``db``."""
    assert routed("shop.db.example.org") == APP
    assert routed("shop.other.example.org") == Route("shop.other", "app", "app")


@pytest.mark.parametrize(
    "found",
    [
        routed("shop.db.example.org", options="endpoint=bank"),
        routed("shop.db.example.org", database="bank/app"),
        routed("shop.db.example.org", database="shop.bank/app"),
        routed(options="endpoint=shop", database="bank/app"),
        routed(options="endpoint=shop -c endpoint=bank"),
    ],
)
def test_forms_that_disagree_are_refused_with_both_names(found: object) -> None:
    assert isinstance(found, EndpointDisagrees)
    assert "'shop'" in found.message and "bank'" in found.message


@pytest.mark.parametrize(
    "found",
    [
        routed(),
        routed("localhost"),
        routed("other.example.com"),
        routed("-.db.example.org"),
        routed(database="not_a_label/app"),
        routed(user="app@Not.A.Label"),
        routed(user="app@a.b.c"),
    ],
)
def test_no_name_at_all(found: object) -> None:
    assert isinstance(found, EndpointUnnamed)
    assert "endpoint%3DNAME" in found.hint


def test_the_hint_names_hosts_that_there_are() -> None:
    found = route(Startup(0, (("user", "app"),)), None, ("db.example.org", "svc"))
    assert isinstance(found, EndpointUnnamed)
    assert "the host NAME.db.example.org or NAME.NAMESPACE.svc." in found.hint


def test_users_may_be_called_like_mail_addresses() -> None:
    assert routed(user="bob@example", options="endpoint=shop") == Route(
        "shop", "bob@example", "app"
    )
    assert routed(user="bob@a.b", options="endpoint=shop") == Route("shop", "bob@a.b", "app")
    assert routed(user="bob@a.b@shop") == Route("shop", "bob@a.b", "app")


def test_the_database_is_called_like_the_user_where_it_is_not_named() -> None:
    for database in ("", "shop/"):
        assert routed(user="bob", database=database, options="endpoint=shop") == Route(
            "shop", "bob", "bob"
        )
    startup = Startup(0, (("user", "bob@shop"),))
    assert route(startup, None, DOMAINS) == Route("shop", "bob", "bob")


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


CONSOLE = Route("torpor", "app", "torpor")

SERVICE = "torpor-proxy.torpor-system"


@pytest.mark.parametrize(
    "found",
    [
        routed(database="torpor"),
        routed("torpor.db.example.org", database="torpor"),
        routed(options="endpoint=torpor", database="torpor"),
        routed(database="torpor/torpor"),
        routed(user="app@torpor", database="torpor"),
    ],
)
def test_the_reserved_name_is_the_console(found: object) -> None:
    assert found == CONSOLE


def test_a_user_of_its_name_needs_no_database_name() -> None:
    startup = Startup(0, (("user", "torpor"),))
    assert route(startup, None, DOMAINS) == Route("torpor", "torpor", "torpor")


@pytest.mark.parametrize(
    "found",
    [
        routed("shop.db.example.org", database="torpor"),
        routed(options="endpoint=shop", database="torpor"),
        routed(database="shop/torpor"),
        routed(user="app@shop", database="torpor"),
    ],
)
def test_a_database_inside_of_an_endpoint_may_be_called_like_it(found: object) -> None:
    assert found == Route("shop", "app", "torpor")


def test_the_console_and_a_database_at_once_disagree() -> None:
    assert isinstance(routed("shop.svc", options="endpoint=torpor"), EndpointDisagrees)


def test_the_host_name_of_the_proxy_itself_is_no_endpoint() -> None:
    startup = Startup(0, (("user", "app"), ("database", "torpor")))
    assert route(startup, f"{SERVICE}.svc", DOMAINS, SERVICE) == CONSOLE
    assert route(startup, f"{SERVICE}.svc", DOMAINS) == Route(SERVICE, "app", "torpor")
    shop = Startup(0, (("user", "app"), ("database", "app"), ("options", "endpoint=shop")))
    assert route(shop, f"{SERVICE}.svc", DOMAINS, SERVICE) == APP
