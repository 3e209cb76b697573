"""What a pod says of its agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Any, cast

from support.kube_people import ENDED
from torpor_api.messages import AgentInfo
from torpor_autoscaler.adapters.kubernetes.computes import Computes
from torpor_autoscaler.adapters.kubernetes.pods import compute_from
from torpor_autoscaler.ports import ClusterFacts
from torpor_kube.kinds import POD, Kind
from torpor_kube.names import (
    DATABASE_LABEL,
    DATABASE_NAMESPACE_LABEL,
    DEDICATED_LABEL,
    OUTDATED_ANNOTATION,
    POOL_LABEL,
    POSTGRES_VERSION_LABEL,
    TEMPLATE_ANNOTATION,
)
from torpor_kube.port import Change, ChangeType, Kube, Page


def pod(ip: str = "10.0.0.7", ready: str = "True", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "compute-default-x", "uid": "u", **metadata},
        "spec": {
            "nodeName": "n1",
            "restartPolicy": "Never",
            "containers": [{"name": "agent"}],
        },
        "status": {"podIP": ip, "conditions": [{"type": "Ready", "status": ready}]},
    }


def test_an_agent_is_found_where_its_pod_is() -> None:
    compute = compute_from(pod(labels={POSTGRES_VERSION_LABEL: "17", POOL_LABEL: "fast"}))
    assert compute.info.address == "10.0.0.7:7433"
    assert (compute.info.compute, compute.info.postgres_version) == ("compute-default-x", "17")
    assert compute.info.pool == "fast"
    assert compute.is_ready and not compute.info.is_leaving and not compute.is_gone


def test_why_it_ended_is_known_where_that_was_its_memory() -> None:
    """Whoever lost one process for it, and ended later by itself, did not."""
    for reason, code, is_memory in (
        ("OOMKilled", 137, True),
        ("OOMKilled", 0, False),
        ("Error", 137, False),
    ):
        terminated = {"reason": reason, "exitCode": code, "containerID": "c", "finishedAt": "2027"}
        ended = pod()
        ended["status"]["containerStatuses"] = [
            {"name": "agent", "state": {"terminated": terminated}}
        ]
        info = compute_from(ended).info
        assert (info.is_gone, info.ran_out_of_memory) == (True, is_memory)
    assert not compute_from(pod()).info.ran_out_of_memory


def test_one_that_was_made_for_a_database_is_for_no_other() -> None:
    labels = {DATABASE_LABEL: "shop", DATABASE_NAMESPACE_LABEL: "team"}
    own = compute_from(pod(labels={**labels, DEDICATED_LABEL: "true"})).info
    assert (own.database, own.is_taken) == ("shop.team", False)


def test_one_that_has_the_label_of_a_database_is_taken() -> None:
    labels = {DATABASE_LABEL: "shop", DATABASE_NAMESPACE_LABEL: "team"}
    found = compute_from(pod(labels=labels)).info
    assert (found.database, found.is_taken) == ("", True)
    assert not compute_from(pod()).info.is_taken


def test_what_it_was_made_from_is_known() -> None:
    assert compute_from(pod(annotations={TEMPLATE_ANNOTATION: "t1"})).info.template == "t1"
    assert compute_from(pod()).info.template == ""


def test_one_that_is_outdated_says_so() -> None:
    assert compute_from(pod(annotations={OUTDATED_ANNOTATION: "true"})).info.is_outdated
    assert not compute_from(pod()).info.is_outdated


def test_addresses() -> None:
    assert compute_from(pod("fd00::7")).address == "[fd00::7]:7433"
    assert compute_from(pod("")).address == ""


def test_what_is_not_there_yet_is_not_assumed() -> None:
    compute = compute_from({"metadata": {"name": "x"}})
    assert (compute.address, compute.node, compute.is_ready, compute.is_gone) == (
        "",
        "",
        False,
        False,
    )


def test_one_that_is_deleted_is_told_as_leaving() -> None:
    leaving = compute_from(pod(deletionTimestamp="2027-01-01T00:00:00Z"))
    assert leaving.info.is_leaving and not leaving.info.is_gone


class QuickNode:
    """Its kubelet says that the pod has ended while somebody asks for the node."""

    def __init__(self) -> None:
        self.computes = Computes(cast(Kube, self), "torpor-system")
        self.told: list[AgentInfo] = []

    def agent_changed(self, agent: AgentInfo) -> None:
        self.told.append(agent)

    async def page(self, *_: Any, **__: Any) -> Page:
        return Page([], "1")

    def agents_listed(self, agents: Iterable[AgentInfo]) -> None:
        """There were none at first."""

    async def changes(self, *_: Any, **__: Any) -> AsyncGenerator[Change, None]:
        await asyncio.Event().wait()
        yield Change(ChangeType.BOOKMARK, {})

    async def get(self, kind: Kind, name: str, namespace: str = "") -> dict[str, Any]:
        found = pod(ip="", ready="False")
        if kind is not POD:
            found["status"] = ENDED
            self.computes.changed(compute_from(found))
            return {"metadata": {"name": name}}
        return found

    async def delete(self, *_: Any, **__: Any) -> None:
        """It is gone already: no more is heard of it."""


async def nobody() -> str:
    """Has sworn that a compute runs nowhere."""
    return ""


async def test_a_word_that_has_come_is_not_waited_for() -> None:
    node = QuickNode()
    async with asyncio.timeout(5.0):
        node.computes.start(cast(ClusterFacts, node))
        await node.computes.make_gone("compute-default-x", "shop", nobody)
        await node.computes.close()
    assert node.told[-1].is_gone
