"""Stopping the databases when `torpor up` ends, in the order of a suspend.

Runs after proxy and autoscaler have ended, so nobody else writes statuses any more.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from torpor_api.failures import Failure
from torpor_api.messages import AgentInfo, StopCompute
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_channel.client import dialled
from torpor_cli.local.agents import Agents
from torpor_cli.local.cluster import Cluster

log = logging.getLogger(__name__)

GRACE_SECONDS = 1.0
"""For clients that the proxy did not know of; then their sessions are ended."""

STOP_SECONDS_MAX = 20.0
"""Most of it is the checkpoint of a database that was busy writing."""


async def stop_databases(cluster: Cluster, agents: Agents) -> list[str]:
    """Stop every awake database; the names of those that did not stop cleanly."""
    awake = [
        (resource, info)
        for resource in cluster.list()
        if resource.status.phase is not Phase.SUSPENDED
        and resource.status.compute is not None
        and (info := agents.running(resource.status.compute)) is not None
    ]
    outcomes = await asyncio.gather(*(_stop(cluster, *each) for each in awake))
    return [
        resource.name
        for (resource, _), is_clean in zip(awake, outcomes, strict=True)
        if not is_clean
    ]


async def _stop(cluster: Cluster, resource: ServerlessDatabase, info: AgentInfo) -> bool:
    epoch = resource.status.epoch
    try:
        async with dialled(Path(info.address)) as agent:
            stop = StopCompute(epoch=epoch, grace_s=GRACE_SECONDS, force=True)
            stopped = await agent.ask(stop, timeout_s=STOP_SECONDS_MAX)
        cluster.store_facts(resource.name, epoch, stopped.facts)
        _write_suspended(cluster, resource.name)
    except Failure as failure:
        fields = {
            "database": resource.name,
            "epoch": epoch,
            "compute": info.compute,
            "reason": failure.message,
        }
        log.warning("stop_failed", extra=fields)
        return False
    return True


def _write_suspended(cluster: Cluster, name: str) -> None:
    stored = cluster.get(name)
    status: DatabaseStatus = stored.status.model_copy(
        update={"phase": Phase.SUSPENDED, "compute": None, "why_awake": (), "decisions": ()}
    )
    cluster.write_status(name, stored.metadata.resource_version, status)
