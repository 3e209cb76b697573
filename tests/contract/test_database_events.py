"""On Kubernetes whoever describes a database reads there why nobody serves it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from support.fake_kube.server import FakeKube
from support.verb_places import SYSTEM, add_database, add_namespaces, kubeconfig
from torpor_api.resource import Endpoint
from torpor_autoscaler.adapters.kubernetes import computes as computes_module
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.main import serving
from torpor_autoscaler.settings import OnKubernetes, Settings
from torpor_kube.kinds import EVENT, SERVERLESS_DATABASE

WAIT_SECONDS_MAX = 30.0


def settings(folder: Path, fake: FakeKube) -> Settings:
    return Settings(
        cluster=OnKubernetes(SYSTEM, "default", kubeconfig(folder, fake)),
        listen=folder / "autoscaler.sock",
        warm=1,
        endpoint=Endpoint(host="db.example", port=5432),
        wake_deadline_s=10.0,
        suspend_deadline_s=10.0,
    )


async def told(fake: FakeKube) -> list[dict[str, Any]]:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while not (found := list(fake.objects.all(EVENT, "default"))):
            await asyncio.sleep(0.01)
    return found


async def test_one_whose_compute_nobody_can_speak_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(computes_module, "FENCE_WAIT_S", 0.2)
    async with FakeKube().serving() as fake:
        add_namespaces(fake, SYSTEM)
        add_database(fake, "shop", phase="Active", epoch=3, compute="compute-default-x")
        limits = Limits(start_grace_s=0.05)
        async with serving(settings(tmp_path, fake), limits):
            (event,) = await told(fake)
        uid = fake.objects.get((SERVERLESS_DATABASE, "default", "shop"))["metadata"]["uid"]
    assert (event["type"], event["reason"]) == ("Warning", "NotFenced")
    assert event["reportingController"] == "torpor.dev/autoscaler"
    assert event["regarding"]["kind"] == "ServerlessDatabase" and event["regarding"]["uid"] == uid
    assert "compute-default-x" in event["note"]
    assert "torpor.dev/gone-compute" in event["note"], "which word of a person would help"
