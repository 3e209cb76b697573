"""What Torpor takes for granted of an API server: held to by the real one, and by the fake one.

The real one is that of KUBECONFIG; the cases skip where there is none.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.fake_kube.objects import SECRET_BYTES_MAX
from support.fake_kube.server import FakeKube
from torpor_api.failures import Conflict, Failure, InvalidRequest, NotFound
from torpor_kube.documents import labels_of, metadata, name_of, version_of
from torpor_kube.kinds import CONFIG_MAP, NAMESPACE, POD, SECRET, SERVERLESS_DATABASE, Kind
from torpor_kube.login import at, chosen
from torpor_kube.port import ALL_SENT, Change, ChangeType, Document, Expired, Kube, PatchForm
from torpor_kube.server import ApiServer

ANSWER_SECONDS_MAX = 20.0


@dataclass(frozen=True, slots=True)
class Place:
    """A namespace of one's own on some server."""

    kube: Kube
    namespace: str

    async def create(self, name: str = "one", *, kind: Kind = CONFIG_MAP, **parts: Any) -> Document:
        head = {"name": name, "namespace": self.namespace, **parts.pop("metadata", {})}
        return await self.kube.create(kind, {"metadata": head, **parts})

    async def get(self, name: str = "one", kind: Kind = CONFIG_MAP) -> Document:
        return await self.kube.get(kind, name, self.namespace)

    async def apply(
        self, manager: str, name: str = "one", *, kind: Kind = CONFIG_MAP, **parts: Any
    ) -> Document:
        subresource = parts.pop("subresource", "")
        head = {"name": name, "namespace": self.namespace, **parts.pop("metadata", {})}
        document = {"metadata": head, **parts}
        return await self.kube.apply(kind, document, manager=manager, subresource=subresource)

    async def patch(self, patch: Document, name: str = "one", **how: Any) -> Document:
        kind = how.pop("kind", CONFIG_MAP)
        return await self.kube.patch(kind, name, self.namespace, patch, **how)


@contextlib.asynccontextmanager
async def fake_server() -> AsyncIterator[ApiServer]:
    async with FakeKube().serving() as fake:
        yield ApiServer(at(fake.url))


@contextlib.asynccontextmanager
async def real_server() -> AsyncIterator[ApiServer]:
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KUBECONFIG names no cluster: the real API server was not asked")
    yield ApiServer(chosen(Path(kubeconfig)))


@pytest.fixture(params=["fake", "real"])
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with fake_server() if request.param == "fake" else real_server() as kube:
        namespace = f"contract-{uuid.uuid4().hex[:8]}"
        await kube.create(NAMESPACE, {"metadata": {"name": namespace}})
        yield Place(kube, namespace)
        with contextlib.suppress(Failure):
            await kube.delete(NAMESPACE, namespace)
        await kube.close()


async def test_what_was_created_is_there_once(place: Place) -> None:
    created = await place.create(data={"a": "1"})
    assert await place.get() == created
    assert metadata(created)["uid"] and version_of(created).isdigit()
    with pytest.raises(Conflict):
        await place.create()
    with pytest.raises(NotFound):
        await place.get("other")


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_a_secret_holds_a_mebibyte(place: Place) -> None:
    def data(size: int) -> dict[str, str]:
        return {"a": base64.b64encode(b"x" * size).decode()}

    await place.create(kind=SECRET, data=data(SECRET_BYTES_MAX))
    with pytest.raises(InvalidRequest):
        await place.patch({"data": data(SECRET_BYTES_MAX + 1)}, kind=SECRET)
    with pytest.raises(InvalidRequest):
        await place.create("other", kind=SECRET, data=data(SECRET_BYTES_MAX + 1))


async def test_every_write_has_a_greater_version(place: Place) -> None:
    first = await place.create()
    second = await place.patch({"data": {"a": "1"}})
    assert int(version_of(second)) > int(version_of(first))
    assert version_of(await place.patch({"data": {"a": "1"}})) == version_of(second)


async def test_a_merge_patch_replaces_lists_and_removes_by_null(place: Place) -> None:
    await place.create(data={"a": "1", "b": "2"})
    assert (await place.patch({"data": {"a": None, "c": "3"}}))["data"] == {"b": "2", "c": "3"}


async def test_of_two_patches_of_one_version_one_wins(place: Place) -> None:
    version = version_of(await place.create())
    patches = [
        place.patch({"metadata": {"resourceVersion": version}, "data": {"who": who}})
        for who in "abc"
    ]
    outcomes = await asyncio.gather(*patches, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 2


async def test_labels_select(place: Place) -> None:
    for name, color in (("one", "red"), ("two", "blue")):
        await place.create(name, metadata={"labels": {"color": color, "kind": "x"}})
    for selector, expected in (("color=red", ["one"]), ("kind=x,color", ["one", "two"])):
        page = await place.kube.page(CONFIG_MAP, place.namespace, labels=selector)
        assert sorted(map(name_of, page.items)) == expected


async def test_what_a_manager_no_longer_applies_goes(place: Place) -> None:
    await place.apply("ours", data={"a": "1", "b": "2"})
    await place.apply("theirs", data={"c": "3"})
    after = await place.apply("ours", data={"a": "1"})
    assert after["data"] == {"a": "1", "c": "3"}


async def test_of_a_secret_that_another_has_taken_over_ours_can_be_let_go(place: Place) -> None:
    """As cert-manager takes one: with its type, and without what it does not know."""
    head: dict[str, Any] = {"kind": SECRET, "type": "kubernetes.io/tls"}
    old, new = ({"tls.crt": one, "tls.key": one} for one in ("b2xk", "bmV3"))
    ours = {"labels": {"managed-by": "us"}}
    await place.apply("ours", data={**old, "ca.crt": "b2xk"}, metadata=ours, **head)
    taken = await place.apply("theirs", data=new, metadata={"annotations": {"by": "them"}}, **head)
    assert labels_of(taken) == ours["labels"] and taken["data"] == {**new, "ca.crt": "b2xk"}
    after = await place.apply("ours", metadata={"resourceVersion": version_of(taken)}, **head)
    assert (labels_of(after), after["data"], after["type"]) == ({}, new, head["type"])
    assert metadata(after)["annotations"] == {"by": "them"}


async def test_what_is_applied_twice_alike_changes_nothing(place: Place) -> None:
    first = await place.apply("ours", data={"a": "1"}, metadata={"labels": {"x": "y"}})
    again = await place.apply("ours", data={"a": "1"}, metadata={"labels": {"x": "y"}})
    assert version_of(first) == version_of(again)


async def test_a_field_goes_to_whoever_applied_it_last(place: Place) -> None:
    await place.apply("ours", data={"a": "1"})
    await place.apply("theirs", data={"a": "2"})
    assert (await place.apply("ours", metadata={"labels": {"x": "y"}}))["data"] == {"a": "2"}


async def test_an_apply_can_be_bound_to_a_version(place: Place) -> None:
    version = version_of(await place.apply("ours", data={"a": "1"}))
    await place.patch({"data": {"b": "2"}})
    with pytest.raises(Conflict):
        await place.apply("ours", data={"a": "3"}, metadata={"resourceVersion": version})
    assert (await place.get())["data"] == {"a": "1", "b": "2"}


async def test_an_apply_to_the_status_of_nothing_makes_nothing(place: Place) -> None:
    """To an object itself it would make a new one, whatever version it is bound to."""
    with pytest.raises(NotFound):
        await place.apply(
            "ours", kind=SERVERLESS_DATABASE, subresource="status", status={"epoch": 1}
        )
    await place.apply("ours", data={"a": "3"}, metadata={"resourceVersion": "1"})
    assert (await place.get())["data"] == {"a": "3"}


async def test_a_deletion_can_be_bound_to_an_object(place: Place) -> None:
    created = await place.create()
    with pytest.raises(Conflict):
        await place.kube.delete(CONFIG_MAP, "one", place.namespace, uid=str(uuid.uuid4()))
    await place.kube.delete(CONFIG_MAP, "one", place.namespace, uid=metadata(created)["uid"])
    with pytest.raises(NotFound):
        await place.kube.delete(CONFIG_MAP, "one", place.namespace)


async def test_a_finalizer_holds_an_object_that_was_deleted(place: Place) -> None:
    await place.create(metadata={"finalizers": ["torpor.dev/fence"]})
    await place.kube.delete(CONFIG_MAP, "one", place.namespace)
    held = await place.get()
    assert metadata(held)["deletionTimestamp"]
    await place.patch({"metadata": {"finalizers": None, "resourceVersion": version_of(held)}})
    with pytest.raises(NotFound):
        await place.get()


async def test_what_an_object_owns_goes_with_it(place: Place) -> None:
    owner = await place.create("owner")
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "owner",
        "uid": metadata(owner)["uid"],
    }
    await place.create("child", metadata={"ownerReferences": [reference]})
    await place.kube.delete(CONFIG_MAP, "owner", place.namespace)
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while True:
            try:
                await place.get("child")
            except NotFound:
                return
            await asyncio.sleep(0.05)


POD_SPEC = {"restartPolicy": "Never", "containers": [{"name": "agent", "image": "none:0"}]}


async def test_a_finalizer_holds_a_pod_whatever_force_deletes_it(place: Place) -> None:
    await place.create(kind=POD, spec=POD_SPEC, metadata={"finalizers": ["torpor.dev/fence"]})
    await place.kube.delete(POD, "one", place.namespace, grace_s=0)
    assert metadata(await place.get(kind=POD))["deletionTimestamp"]
    await place.patch({"metadata": {"finalizers": None}}, kind=POD)
    await until_gone(place, POD)


async def until_gone(place: Place, kind: Kind) -> None:
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        with contextlib.suppress(NotFound):
            while True:
                await place.get(kind=kind)
                await asyncio.sleep(0.05)


async def test_a_status_is_written_through_its_subresource_only(place: Place) -> None:
    created = await place.create(kind=SERVERLESS_DATABASE, spec={})
    assert metadata(created)["generation"] == 1
    ready = {"phase": "Suspended", "epoch": 3}
    at_first = await place.apply(
        "ours", kind=SERVERLESS_DATABASE, subresource="status", status=ready
    )
    assert at_first["status"]["epoch"] == 3 and metadata(at_first)["generation"] == 1
    past_it = await place.patch({"status": {"epoch": 9}}, kind=SERVERLESS_DATABASE)
    assert past_it["status"]["epoch"] == 3
    changed = await place.patch({"spec": {"keepAwake": True}}, kind=SERVERLESS_DATABASE)
    assert metadata(changed)["generation"] == 2


def condition(type: str, status: str = "True") -> Document:
    at = "2027-01-01T00:00:00Z"
    return {
        "type": type,
        "status": status,
        "reason": "Made",
        "message": "",
        "lastTransitionTime": at,
    }


async def test_two_managers_share_a_status(place: Place) -> None:
    part: dict[str, Any] = {"kind": SERVERLESS_DATABASE, "subresource": "status"}
    await place.create(kind=SERVERLESS_DATABASE, spec={})
    operators = {"conditions": [condition("StorageReady")], "binding": {"name": "one-app"}}
    await place.apply("operator", status=operators, **part)
    mine = {"phase": "Active", "epoch": 1, "compute": "c", "conditions": [condition("Ready")]}
    both = await place.apply("autoscaler", status=mine, **part)
    assert {one["type"] for one in both["status"]["conditions"]} == {"StorageReady", "Ready"}
    mine = {"phase": "Suspended", "epoch": 1, "conditions": [condition("Ready", "False")]}
    after = (await place.apply("autoscaler", status=mine, **part))["status"]
    assert "compute" not in after and after["binding"] == {"name": "one-app"}
    assert {one["type"]: one["status"] for one in after["conditions"]} == {
        "StorageReady": "True",
        "Ready": "False",
    }


async def hear(place: Place, enough: int, **how: Any) -> list[Change]:
    heard: list[Change] = []
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        async with aclosing(place.kube.changes(SECRET, place.namespace, **how)) as changes:
            async for change in changes:
                heard.append(change)
                if len(heard) == enough:
                    break
    return heard


async def test_a_watch_tells_every_change_since_a_version(place: Place) -> None:
    since = version_of(await place.create(kind=SECRET))
    await place.create("two", kind=SECRET, metadata={"labels": {"color": "red"}})
    await place.patch({"metadata": {"labels": {"color": "red"}}}, kind=SECRET)
    await place.kube.delete(SECRET, "two", place.namespace)
    heard = await hear(place, 3, since=since)
    assert [(change.type, name_of(change.document)) for change in heard] == [
        (ChangeType.ADDED, "two"),
        (ChangeType.MODIFIED, "one"),
        (ChangeType.DELETED, "two"),
    ]
    versions = [int(version_of(change.document)) for change in heard]
    assert versions == sorted(set(versions)) and versions[0] > int(since)


async def test_a_watch_can_begin_with_all_there_is(place: Place) -> None:
    for name in ("one", "two"):
        await place.create(name, kind=SECRET)
    *all, end = await hear(place, 3, with_all=True)
    assert {name_of(change.document) for change in all} == {"one", "two"}
    assert end.type is ChangeType.BOOKMARK
    assert metadata(end.document)["annotations"] == {ALL_SENT: "true"}
    newest = max(int(version_of(change.document)) for change in all)
    assert int(version_of(end.document)) >= newest


async def test_what_no_longer_has_the_labels_is_told_as_deleted(place: Place) -> None:
    created = await place.create(kind=SECRET, metadata={"labels": {"color": "red"}})
    await place.patch({"metadata": {"labels": {"color": "blue"}}}, kind=SECRET)
    heard = await hear(place, 1, since=version_of(created), labels="color=red")
    assert heard[0].type is ChangeType.DELETED
    assert labels_of(await place.get(kind=SECRET)) == {"color": "blue"}


async def test_a_list_and_a_watch_may_be_of_one_name(place: Place) -> None:
    for name in ("one", "two"):
        await place.create(name, kind=SECRET)
    page = await place.kube.page(SECRET, place.namespace, name="two")
    assert [name_of(one) for one in page.items] == ["two"]
    await place.patch({"metadata": {"labels": {"color": "red"}}}, kind=SECRET)
    await place.kube.delete(SECRET, "two", place.namespace)
    heard = await hear(place, 1, since=page.resource_version, name="two")
    assert [(change.type, name_of(change.document)) for change in heard] == [
        (ChangeType.DELETED, "two")
    ]


async def test_a_watch_from_long_ago_tells_all_or_says_that_it_can_not(place: Place) -> None:
    await place.create(kind=SECRET)
    try:
        heard = await hear(place, 1, since="1")
    except Expired:
        return
    assert [name_of(change.document) for change in heard] == ["one"]


async def test_a_strategic_patch_of_a_custom_resource_is_refused(place: Place) -> None:
    await place.create(kind=SERVERLESS_DATABASE, spec={})
    with pytest.raises(InvalidRequest):
        await place.patch({"spec": {}}, kind=SERVERLESS_DATABASE, form=PatchForm.STRATEGIC)
