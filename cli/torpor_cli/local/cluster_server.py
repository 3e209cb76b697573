"""The cluster's part of the control channel: each message to what the cluster does about it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from torpor_api import messages as m
from torpor_channel.peer import Handlers, Peer
from torpor_cli.local.agents import Agents
from torpor_cli.local.cluster import Cluster

Answers = dict[type[m.Message], Callable[[Peer, Any], Awaitable[m.Message | None]]]


class Watchers:
    """Connections that asked to be told; those that have hung up are forgotten."""

    def __init__(self) -> None:
        self._peers: set[Peer] = set()

    def add(self, peer: Peer) -> None:
        self._peers.add(peer)

    def tell(self, event: m.Event) -> None:
        self._peers = {peer for peer in self._peers if not peer.closed.is_set()}
        for peer in self._peers:
            peer.tell(event)


def cluster_handlers(
    cluster: Cluster, agents: Agents, resource_watchers: Watchers, agent_watchers: Watchers
) -> Handlers:
    """Answers for ``cluster.sock``."""
    return {
        **_about_resources(cluster, resource_watchers),
        **_about_storage(cluster),
        **_about_processes(cluster, agents, agent_watchers),
    }


def _about_resources(cluster: Cluster, watchers: Watchers) -> Answers:
    async def apply(_: Peer, asked: m.ApplyResource) -> m.Stored:
        return m.Stored(resource=await cluster.apply(asked.resource))

    async def delete(_: Peer, asked: m.DeleteResource) -> m.Done:
        await cluster.delete(asked.name, data=asked.data)
        return m.Done()

    async def list_all(_: Peer, asked: m.ListResources) -> m.Resources:
        return m.Resources(resources=cluster.list())

    async def get(_: Peer, asked: m.GetResource) -> m.Stored:
        return m.Stored(resource=cluster.get(asked.name))

    async def write_status(_: Peer, asked: m.WriteStatus) -> m.Stored:
        stored = cluster.write_status(asked.name, asked.resource_version, asked.status)
        return m.Stored(resource=stored)

    async def watch(peer: Peer, asked: m.WatchResources) -> m.Resources:
        watchers.add(peer)
        return m.Resources(resources=cluster.list())

    return {
        m.ApplyResource: apply,
        m.DeleteResource: delete,
        m.ListResources: list_all,
        m.GetResource: get,
        m.WriteStatus: write_status,
        m.WatchResources: watch,
    }


def _about_storage(cluster: Cluster) -> Answers:
    async def store_facts(_: Peer, asked: m.StoreLoginFacts) -> m.Done:
        cluster.store_facts(asked.name, asked.epoch, asked.facts)
        return m.Done()

    async def fetch_facts(_: Peer, asked: m.FetchLoginFacts) -> m.LoginFactsReply:
        return m.LoginFactsReply(facts=cluster.facts(asked.name))

    async def fetch_verifiers(_: Peer, asked: m.FetchVerifiers) -> m.RolePasswordVerifiers:
        return m.RolePasswordVerifiers(verifiers=cluster.verifiers(asked.name))

    async def locate(_: Peer, asked: m.LocateStorage) -> m.StoragePlace:
        return cluster.locate(asked.name)

    return {
        m.StoreLoginFacts: store_facts,
        m.FetchLoginFacts: fetch_facts,
        m.FetchVerifiers: fetch_verifiers,
        m.LocateStorage: locate,
    }


def _about_processes(cluster: Cluster, agents: Agents, watchers: Watchers) -> Answers:
    async def watch(peer: Peer, asked: m.WatchAgents) -> m.Agents:
        watchers.add(peer)
        return m.Agents(agents=agents.infos())

    async def set_warm_pool(_: Peer, asked: m.SetWarmPool) -> m.Done:
        agents.set_size(asked.size, frozenset(asked.claimed))
        return m.Done()

    async def confirm_gone(_: Peer, asked: m.ConfirmGone) -> m.Done:
        await cluster.confirm_gone(asked.compute, asked.database)
        return m.Done()

    async def resize(_: Peer, asked: m.ResizeCompute) -> m.Done:
        await agents.resize(asked.compute, asked.cu)
        return m.Done()

    return {
        m.WatchAgents: watch,
        m.SetWarmPool: set_warm_pool,
        m.ConfirmGone: confirm_gone,
        m.ResizeCompute: resize,
    }
