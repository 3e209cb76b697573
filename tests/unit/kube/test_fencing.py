"""What proves that a pod has ended, and what does not."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from torpor_kube.fencing import OUT_OF_SERVICE, is_out_of_service, why_not_gone

ENDED = {
    "exitCode": 0,
    "reason": "Completed",
    "startedAt": "2027-01-01T00:00:00Z",
    "finishedAt": "2027-01-01T00:01:00Z",
    "containerID": "containerd://1",
}


def pod(state: Any, **spec: Any) -> dict[str, Any]:
    return {
        "spec": {"restartPolicy": "Never", "containers": [{"name": "agent"}], **spec},
        "status": {
            "phase": "Failed",
            "reason": "NodeLost",
            "containerStatuses": [{"name": "agent", "state": state}],
        },
    }


def terminated(**other: Any) -> dict[str, Any]:
    return {"terminated": {**ENDED, **other}}


def test_the_kubelets_word_that_the_container_ended_is_proof() -> None:
    assert why_not_gone(pod(terminated())) == ""
    assert why_not_gone(pod(terminated(exitCode=137, reason="Error"))) == ""


@pytest.mark.parametrize(
    "state",
    [
        {"running": {"startedAt": "2027-01-01T00:00:00Z"}},
        {"waiting": {"reason": "ContainerCreating"}},
        {},
        None,
        # As the kubelet writes it where it does not find the container any more.
        {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}},
        terminated(reason="ContainerStatusUnknown"),
        terminated(containerID=""),
        terminated(finishedAt=None),
        {"terminated": {"exitCode": 0}},
    ],
)
def test_a_phase_and_a_guess_are_none(state: Any) -> None:
    assert why_not_gone(pod(state)) != ""


def test_the_end_before_the_last_start_is_none() -> None:
    found = pod({"running": {}})
    found["status"]["containerStatuses"][0]["lastState"] = terminated()
    assert why_not_gone(found) != ""


def test_every_container_must_have_ended() -> None:
    found = pod(terminated(), containers=[{"name": "agent"}, {"name": "sidecar"}])
    assert "sidecar" in why_not_gone(found)


@pytest.mark.parametrize(
    "spec",
    [
        {"restartPolicy": "Always"},
        {"restartPolicy": "OnFailure"},
        {"restartPolicy": None},
        {"containers": [{"name": "agent", "restartPolicy": "Always"}]},
        {"containers": [{"name": "agent", "restartPolicyRules": [{"action": "Restart"}]}]},
        {"containers": []},
    ],
)
def test_a_container_that_may_be_started_again_has_not_ended(spec: dict[str, Any]) -> None:
    assert why_not_gone(pod(terminated(), **spec)) != ""


def test_an_object_without_any_status_proves_nothing() -> None:
    assert why_not_gone({}) != ""
    assert why_not_gone({"spec": pod({})["spec"]}) != ""


NODE = {
    "spec": {"taints": [{"key": OUT_OF_SERVICE, "value": "nodeshutdown", "effect": "NoExecute"}]},
    "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]},
}


def test_a_node_is_out_of_service_by_a_persons_word_and_a_silent_kubelet() -> None:
    assert is_out_of_service(NODE)
    assert not is_out_of_service({**NODE, "spec": {}})
    back = copy.deepcopy(NODE)
    back["status"]["conditions"][0]["status"] = "True"
    assert not is_out_of_service(back)
