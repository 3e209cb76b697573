"""Answers of an API server that are older than what its watch has said meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, cast

import pytest

from support.kube_people import ENDED, RUNNING, pod_document
from torpor_api import messages as m
from torpor_api.failures import Conflict, NotFenced, NotFound
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_autoscaler.adapters.kubernetes import computes as adapter
from torpor_autoscaler.adapters.kubernetes.computes import Computes
from torpor_autoscaler.adapters.kubernetes.databases import Databases
from torpor_autoscaler.adapters.kubernetes.documents import Known, known_from
from torpor_autoscaler.adapters.kubernetes.pods import compute_from
from torpor_kube.names import DATABASE_LABEL, DATABASE_NAMESPACE_LABEL
from torpor_kube.port import Document

SYSTEM = "torpor-system"


def pod(version: int, status: dict[str, Any]) -> Document:
    document = pod_document("c1", SYSTEM, node="n1")
    document["metadata"] |= {"uid": "u1", "resourceVersion": str(version)}
    return {**document, "status": status}


class Late:
    """Every read and every answer is of a moment at which the compute still ran."""

    def __init__(self) -> None:
        self.is_there = True

    async def get(self, kind: object, name: str, namespace: str = "") -> Document:
        return pod(1, RUNNING) if name == "c1" else {}

    async def delete(self, *args: object, **options: object) -> None:
        if not self.is_there:
            raise NotFound("no pod c1")

    async def patch(self, *args: object, **options: object) -> Document:
        return pod(2, RUNNING)


class Fleet:
    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.versions: list[str] = []
        """Of records, as they were told."""

    def resources_listed(self, resources: Iterable[ServerlessDatabase]) -> None:
        for resource in resources:
            self.resource_changed(resource)

    def resource_changed(self, resource: ServerlessDatabase) -> None:
        self.versions.append(resource.metadata.resource_version)

    def agents_listed(self, agents: Iterable[m.AgentInfo]) -> None: ...

    def agent_changed(self, agent: m.AgentInfo) -> None:
        (self.gone.add if agent.is_gone else self.gone.discard)(agent.compute)


@pytest.fixture
def kube() -> Late:
    return Late()


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def computes(kube: Late, fleet: Fleet) -> Computes:
    """One runs, as far as was heard."""
    found = Computes(cast("Any", kube), SYSTEM)
    found._fleet = cast("Any", fleet)
    found.listed([compute_from(pod(1, RUNNING))])
    return found


def ends(computes: Computes) -> None:
    computes.changed(compute_from(pod(3, ENDED)))


def goes(computes: Computes) -> None:
    ends(computes)
    computes.deleted(compute_from(pod(4, ENDED)))


async def nobody() -> str:
    """Has sworn that a compute runs nowhere."""
    return ""


async def test_a_pod_that_was_read_late_and_is_gone_is_not_waited_for(
    computes: Computes, kube: Late
) -> None:
    goes(computes)
    computes._told.add("c1")  # By a read that was as late.
    kube.is_there = False
    async with asyncio.timeout(10.0):
        await computes.make_gone("c1", "shop", nobody)


async def test_one_whose_object_is_there_may_run_again(
    computes: Computes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was restored from an older state: the watch has not said so yet."""
    monkeypatch.setattr(adapter, "FENCE_WAIT_S", 0.05)
    goes(computes)
    computes._told.add("c1")
    with pytest.raises(NotFenced):
        await computes.make_gone("c1", "shop", nobody)


@pytest.mark.parametrize("happens", [ends, goes])
async def test_the_answer_to_a_resize_takes_no_end_back(
    computes: Computes, fleet: Fleet, happens: Callable[[Computes], None]
) -> None:
    happens(computes)
    await computes.resize("c1", Decimal(2))
    assert "c1" in computes._ended and fleet.gone == {"c1"}


async def test_what_the_watch_says_late_is_not_put_over_that_answer(computes: Computes) -> None:
    await computes.resize("c1", Decimal(2))
    computes.changed(compute_from(pod(1, RUNNING)))
    assert computes._pods["c1"].version == "2"
    ends(computes)
    assert "c1" in computes._ended


class Changed:
    """An API server with a pod of which the watch has not said everything yet."""

    def __init__(self, labels: dict[str, str]) -> None:
        self.pod = pod(2, RUNNING)
        self.labels: dict[str, str] = self.pod["metadata"]["labels"] | labels
        self.pod["metadata"]["labels"] = self.labels

    async def get(self, *args: object, **options: object) -> Document:
        return self.pod

    async def patch(self, kind: object, name: str, namespace: str, patch: Document) -> Document:
        if patch["metadata"]["resourceVersion"] != "2":
            raise Conflict("it is another version")
        self.labels.update(patch["metadata"]["labels"])
        return self.pod


async def label_of(computes: Computes, changed: Changed) -> str | None:
    computes._kube = cast("Any", changed)
    computes.label("c1", "shop", is_sure=False)
    async with asyncio.timeout(10.0):
        await asyncio.gather(*computes._labelling)
    return changed.labels.get(DATABASE_LABEL)


async def test_a_pod_that_has_changed_meanwhile_is_labelled_all_the_same(
    computes: Computes,
) -> None:
    assert await label_of(computes, Changed({})) == "shop"


async def test_a_label_of_which_the_watch_has_not_said_anything_is_not_overwritten(
    computes: Computes,
) -> None:
    """Its agent may erase the data of that database."""
    labels = {DATABASE_LABEL: "blog", DATABASE_NAMESPACE_LABEL: "default"}
    assert await label_of(computes, Changed(labels)) == "blog"


def record(version: int, uid: str = "u", epoch: int = 0) -> Known:
    head = {"name": "shop", "namespace": "team", "uid": uid, "resourceVersion": str(version)}
    provided = {"directory": "/volumes/team.shop", "userId": 100007, "isMade": epoch > 0}
    status = {"epoch": epoch, "storage": provided, "binding": {"name": "shop-app"}}
    return known_from({"metadata": head, "spec": {}, "status": status})


class Written:
    """An API server that stores what is written; its watch is behind."""

    async def apply(self, *args: object, **options: object) -> Document:
        head = {"name": "shop", "namespace": "team", "uid": "u", "resourceVersion": "43"}
        provided = {"directory": "/volumes/team.shop", "userId": 100007, "isMade": True}
        return {"metadata": head, "spec": {}, "status": {"epoch": 2, "storage": provided}}


@pytest.fixture
async def databases(fleet: Fleet) -> Databases:
    """Has just written the record, in version 43."""
    found = Databases(cast("Any", Written()), SYSTEM)
    found._fleet = cast("Any", fleet)
    found.listed("", [record(41)])
    status = DatabaseStatus(phase=Phase.RESUMING, epoch=2, compute="c1")
    await found.write_status(m.WriteStatus(name="shop.team", resource_version="41", status=status))
    fleet.versions.clear()
    return found


async def test_what_the_watch_says_late_of_a_record_is_not_put_over_what_was_written(
    databases: Databases, fleet: Fleet
) -> None:
    databases.changed(record(42, epoch=1))
    known = await databases.find("shop.team")
    assert (known.version, fleet.versions) == ("43", [])
    databases.changed(record(43, epoch=2))
    databases.changed(record(44, epoch=2))
    assert fleet.versions == ["43", "44"]


async def test_nor_is_a_list_that_is_late(databases: Databases, fleet: Fleet) -> None:
    databases.listed("", [record(42, epoch=1)])
    known = await databases.find("shop.team")
    assert (known.version, fleet.versions) == ("43", ["43"])


async def test_another_of_the_name_is_another(databases: Databases, fleet: Fleet) -> None:
    databases.changed(record(12, uid="other"))
    assert (await databases.find("shop.team")).uid == "other" and fleet.versions == ["12"]
