"""Who asks an API server for what, as a benchmark counts it."""

from __future__ import annotations

from collections import Counter

import pytest

from rig.kube_door import asked, work


@pytest.mark.parametrize(
    ("verb", "path", "counted"),
    [
        ("GET", "/api/v1/namespaces/shop/secrets/db-app", "GET secrets"),
        ("POST", "/api/v1/namespaces", "POST namespaces"),
        ("GET", "/api/v1/namespaces/shop", "GET namespaces"),
        ("WATCH", "/apis/torpor.dev/v1alpha1/serverlessdatabases", "WATCH serverlessdatabases"),
        (
            "PATCH",
            "/apis/torpor.dev/v1alpha1/namespaces/shop/serverlessdatabases/db/status",
            "PATCH serverlessdatabases/status",
        ),
        ("GET", "/apis", "GET discovery"),
        ("GET", "/apis/torpor.dev/v1alpha1", "GET discovery"),
    ],
)
def test_a_question_is_counted_by_its_verb_and_its_resource(
    verb: str, path: str, counted: str
) -> None:
    assert asked(verb, path) == counted


def test_the_lease_and_watches_are_no_work() -> None:
    at_rest = Counter({"PATCH leases": 30, "GET leases": 30, "WATCH secrets": 2})
    assert work(at_rest) == 0
    assert work(at_rest + Counter({"PATCH secrets": 3})) == 3
