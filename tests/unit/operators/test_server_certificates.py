"""Which certificate has the name that a client has looked up, and in which Secret it is."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from torpor_operator.core.cache import Cache
from torpor_operator.core.certificates import LeafWanted
from torpor_operator.core.naming import Key
from torpor_operator.core.seen import see_database
from torpor_operator.core.server_certificates import (
    NAMES_MAX,
    PARTS,
    SERVER_SECRET,
    part_of,
    server_leaves,
    with_room,
)
from torpor_operator.core.targets import CERTIFICATES


def leaves(*namespaces: str) -> dict[str, LeafWanted]:
    """By namespace; the one for whoever names none under the empty name."""
    found = server_leaves(["db.example.com"], namespaces, "torpor-proxy.system", "cluster.local")
    return {one.namespace: one for one in found}


def test_each_namespace_has_every_name_that_its_databases_are_looked_up_by() -> None:
    found = leaves("team", "default")
    inside = {"*.team.svc", "*.team.svc.cluster.local"}
    assert set(found["team"].names) == {*inside, "*.team.db.example.com"}
    assert {"*.default.svc", "*.default.db.example.com", "*.db.example.com"} <= set(
        found["default"].names
    )
    assert not found["team"].is_client and found["team"].component == "proxy"


def test_whoever_names_no_namespace_finds_the_service_and_the_domains() -> None:
    own = leaves("team")[""]
    assert own.secret == SERVER_SECRET
    assert set(own.names) == {
        "db.example.com",
        "*.db.example.com",
        "torpor-proxy.system",
        "torpor-proxy.system.svc",
        "torpor-proxy.system.svc.cluster.local",
    }
    assert {"*.team.svc", "*.team.db.example.com"} <= set(own.rest), "for who sends no server name"


def test_certificates_in_one_secret_follow_upon_each_other() -> None:
    found = server_leaves(["d"], [f"n{i}" for i in range(300)], "p.s", "cluster.local")
    changes = [a.secret != b.secret for a, b in pairwise(found)]
    assert sum(changes) == len({one.secret for one in found}) - 1 == PARTS


def test_ten_thousand_namespaces_are_spread_evenly_and_stay_where_they_are() -> None:
    counts = Counter(part_of(f"team-{number}") for number in range(10_000))
    assert len(counts) == PARTS and max(counts.values()) < 700
    # What a release has put somewhere the next one has to find there.
    assert part_of("default") == "torpor-proxy-namespaces-15"


def test_of_the_one_for_clients_without_a_server_name_no_namespace_loses_its_names() -> None:
    def shown(namespaces: list[str], held: tuple[str, ...]) -> tuple[str, ...]:
        (own,) = [
            one
            for one in server_leaves(["d"], namespaces, "p.s", "cluster.local")
            if not one.namespace
        ]
        return with_room(own, held).names

    old = [f"n{i}" for i in range(200)]
    first = shown(old, ())
    assert len(first) == NAMES_MAX
    assert set(shown(["a", *old], first)) == set(first)
    third = shown(["a", *old[:150]], first)
    assert {"*.a.d", "*.a.svc"} <= set(third), "there is room where others have gone"


def test_certificates_are_looked_at_for_the_first_database_of_a_namespace_alone() -> None:
    cache = Cache("torpor-system")

    def is_looked_at(name: str, namespace: str) -> bool:
        place = {"name": name, "namespace": namespace, "resourceVersion": "1", "uid": name}
        return CERTIFICATES in cache.database_seen(see_database({"metadata": place}))

    assert is_looked_at("shop", "a") and not is_looked_at("blog", "a")
    assert not is_looked_at("shop", "a"), "seen again"
    assert is_looked_at("shop", "b") and cache.namespaces() == ["a", "b"]
    for name in ("shop", "blog", "blog"):
        cache.database_gone(Key("a", name))
    assert cache.namespaces() == ["b"]
    assert is_looked_at("next", "a"), "it may have been let go meanwhile"
    cache.databases_listed("", [])
    assert cache.namespaces() == []
