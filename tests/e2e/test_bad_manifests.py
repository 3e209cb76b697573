"""What can't be is refused by the API server, in words, before anything is made of it.

The models refuse the same on one machine; a cluster also refuses passwords in a resource, and
changes that would leave the data behind.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e import cluster, namespaces
from e2e.api import Json, Refused, find, get, judged, patch
from e2e.kubectl import kubectl
from support.specs import ACCEPTED, REFUSED

MANIFESTS = Path(__file__).parents[2] / "manifests"

DEFINITIONS = ("serverlessdatabases.torpor.dev", "warmpools.torpor.dev")


@pytest.fixture(scope="module", autouse=True)
def resources() -> Iterator[None]:
    """The custom resources: those of the cluster, or for this module only."""
    try:
        cluster.use_cluster()
    except cluster.NothingToTestOn as lack:
        pytest.skip(str(lack))
    if find("crd", DEFINITIONS[0], "") is not None:
        yield
        return
    definitions = ("-k", str(MANIFESTS / "crds"))
    kubectl("apply", "--server-side", *definitions)
    kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", *DEFINITIONS)
    yield
    kubectl("delete", *definitions)


@pytest.fixture(scope="module")
def place(resources: None) -> Iterator[str]:
    with namespaces.fresh() as name:
        yield name


def database(spec: Json, name: str = "shop") -> Json:
    metadata = {"name": name}
    return {
        "apiVersion": "torpor.dev/v1alpha1",
        "kind": "ServerlessDatabase",
        "metadata": metadata,
        "spec": spec,
    }


def pool(spec: Json) -> Json:
    return database(spec) | {"kind": "WarmPool"}


def stored(document: Json, place: str) -> None:
    kubectl("apply", "--namespace", place, "-f", "-", stdin=json.dumps(document))


@pytest.mark.parametrize("spec", [spec for spec, _ in REFUSED], ids=lambda spec: str(spec)[:60])
def test_what_the_models_refuse(place: str, spec: Json) -> None:
    with pytest.raises(Refused, match=r"invalid|strict decoding error|unknown field"):
        judged(database(spec), place)


@pytest.mark.parametrize("spec", ACCEPTED, ids=lambda spec: str(spec)[:60])
def test_what_the_models_accept(place: str, spec: Json) -> None:
    judged(database(spec), place)


def test_what_is_left_out_has_the_models_defaults(place: str) -> None:
    found = judged(database({}), place)
    spec = found["spec"]
    assert (spec["idleTimeout"], spec["maxCU"], spec["pool"]) == ("5m", 1, "default")
    # These follow from each other: an API server has one default for all.
    assert not {"roles", "databases"} & spec.keys()
    (role,) = judged(database({"roles": [{"name": "shop"}]}), place)["spec"]["roles"]
    assert role | {"name": "shop", "connectionLimit": -1} == role
    assert "status" not in found


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (database({"roles": [{"name": "app", "password": "hunter2"}]}), "write passwordSecret"),
        (database({"minCU": 2, "maxCU": 1}), "minCU must be at most maxCU"),
        (database({"idleTimeout": "31d"}), "write keepAwake: true"),
        (database({"idleTimeout": "0s"}), "write a duration like 1s or 5m"),
        (
            database({"roles": [{"name": "a"}], "databases": [{"name": "a", "owner": "b"}]}),
            "must be one of the roles",
        ),
        (database({"roles": [{"name": "postgres"}]}), "named after the first role"),
        (database({"roles": [{"name": "pg_x"}]}), "names starting with pg_ or torpor_"),
        (database({"roles": [{"name": "app"}, {"name": "app"}]}), "write each name once"),
        (database({"databases": [{"name": "a", "owner": "app"}] * 2}), "write each name once"),
        (database({"access": {"allow": ["10.0.0.1/8"]}}), "write one like 10.0.0.0/8"),
        (database({}, name="4shop"), "begins with a letter"),
        (database({}, name="shop.team"), "must be a DNS label"),
        (pool({"size": {"min": 3, "max": 2}}), "min must be at most max"),
        (
            pool({"resources": {"limits": {"cpu": "50m", "memory": "192Mi"}}}),
            "requests must be smaller",
        ),
        (pool({"resources": {"limits": {"cpu": "10m", "memory": "1Gi"}}}), "at most limits"),
        (pool({"tolerations": [{"operator": "Equal"}]}), "the operator must be Exists"),
        (pool({"storage": {"mode": "dedicated"}}), "Unsupported value"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_refusal_says_what_to_write(place: str, document: Json, words: str) -> None:
    with pytest.raises(Refused) as refused:
        judged(document, place)
    assert words in str(refused.value)
    assert "hunter2" not in str(refused.value)


DATABASE_CHANGES: list[tuple[Json, str]] = [
    ({"pool": "other"}, "the data does not move"),
    ({"storage": {"mode": "dedicated"}}, "the data does not move"),
    ({"postgresVersion": "16"}, "can't be changed once it is set"),
    ({"postgresVersion": None}, "can't be changed once it is set"),
]

POOL_CHANGES: list[tuple[Json, str]] = [
    ({"postgresVersion": "16"}, "make another pool for another version"),
    ({"storage": {"size": "1Gi"}}, "volumes only grow"),
    ({"storage": {"storageClass": "other"}}, "the data does not move"),
]


@pytest.fixture(scope="module")
def existing(place: str) -> Any:
    """Made once, to be changed in vain."""
    stored(database({"postgresVersion": "17", "deletionPolicy": "Delete"}, "stays"), place)
    stored(pool({}) | {"metadata": {"name": "stays"}}, place)
    return place


@pytest.mark.parametrize(("change", "words"), DATABASE_CHANGES, ids=lambda v: str(v)[:40])
def test_a_change_that_would_leave_the_data_behind(existing: str, change: Json, words: str) -> None:
    assert words in refusal_of_change("serverlessdatabase", existing, change)


@pytest.mark.parametrize(("change", "words"), POOL_CHANGES, ids=lambda v: str(v)[:40])
def test_a_change_of_a_pool_that_its_volume_can_not_follow(
    existing: str, change: Json, words: str
) -> None:
    assert words in refusal_of_change("warmpool", existing, change)


def refusal_of_change(kind: str, place: str, change: Json) -> str:
    with pytest.raises(Refused) as refused:
        patch(kind, "stays", place, {"spec": change}, dryRun="All")
    return str(refused.value)


def write_status(place: str, status: Json) -> None:
    patch("sdb", "epochs/status", place, {"status": status})


def test_an_epoch_never_goes_down_and_data_keeps_its_owner(place: str) -> None:
    stored(database({"deletionPolicy": "Delete"}, "epochs"), place)
    with contextlib.suppress(Refused):  # Where an operator was faster it has an owner.
        write_status(place, {"storage": {"userId": 100007, "directory": "/volumes/x"}})
    write_status(place, {"epoch": 7, "storage": {"isMade": True}})
    owner = get("sdb", "epochs", place)["status"]["storage"]["userId"]
    for change, words in (
        ({"epoch": 6}, "an epoch never goes down"),
        ({"storage": {"userId": owner + 1}}, "the data has its owner for good"),
    ):
        with pytest.raises(Refused, match=words):
            write_status(place, change)
    write_status(place, {"epoch": 8})


def test_other_changes_are_welcome(existing: str) -> None:
    change = {"idleTimeout": "1s", "storage": {"size": "20Gi"}, "roles": [{"name": "app"}]}
    patch("sdb", "stays", existing, {"spec": change}, dryRun="All")
    larger = {"spec": {"storage": {"size": "1Ti"}}}
    patch("warmpool", "stays", existing, larger, dryRun="All")


def test_what_is_applied_is_the_whole_list(place: str) -> None:
    """Of what was defaulted before nothing stays beside it, let alone first."""
    how = ("apply", "--server-side", "--namespace", place, "-f", "-")
    kubectl(*how, stdin=json.dumps(database({"deletionPolicy": "Delete"}, "grows")))
    own = {"roles": [{"name": "shop"}], "databases": [{"name": "shop", "owner": "shop"}]}
    kubectl(*how, stdin=json.dumps(database({"deletionPolicy": "Delete", **own}, "grows")))
    spec = get("sdb", "grows", place)["spec"]
    assert [role["name"] for role in spec["roles"]] == ["shop"]
    assert spec["databases"] == own["databases"]


def test_every_field_is_explained() -> None:
    for kind in ("serverlessdatabase", "warmpool"):
        text = kubectl("explain", kind, "--recursive")
        assert "observedGeneration" in text
    assert "1 vCPU and 4 GiB" in kubectl("explain", "sdb.spec.maxCU")
    assert "resized in place" in kubectl("explain", "wp.spec.resources").lower()


def test_the_samples_are_accepted(place: str) -> None:
    samples = sorted((MANIFESTS / "samples").rglob("*.yaml"))
    assert len(samples) > 3
    for sample in samples:
        text = sample.read_text().replace("namespace: torpor-system", f"namespace: {place}")
        kubectl("create", "--validate=strict", "--dry-run=server", "-f", "-", stdin=text)
