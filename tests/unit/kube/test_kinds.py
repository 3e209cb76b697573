"""Paths of objects."""

from __future__ import annotations

import pytest

from torpor_kube.kinds import NODE, POD, SERVERLESS_DATABASE
from torpor_kube.names import verifiers_secret


def test_paths() -> None:
    assert POD.path() == "/api/v1/pods"
    assert POD.path("a", "b", "status") == "/api/v1/namespaces/a/pods/b/status"
    assert NODE.path(name="n") == "/api/v1/nodes/n"
    databases = "/apis/torpor.dev/v1alpha1/namespaces/a/serverlessdatabases"
    assert SERVERLESS_DATABASE.path("a") == databases


def test_a_name_leads_to_no_other_object() -> None:
    assert (
        POD.path("a", "../../secrets/x?y") == "/api/v1/namespaces/a/pods/..%2F..%2Fsecrets%2Fx%3Fy"
    )


def test_an_object_without_its_namespace_is_a_mistake() -> None:
    with pytest.raises(AssertionError):
        POD.path(name="b")
    with pytest.raises(AssertionError):
        NODE.path("a")


def test_no_two_databases_share_a_system_object() -> None:
    assert verifiers_secret("a-b", "c") != verifiers_secret("a", "b-c")
