"""Real agents on a network: this machine's loopback, which has an address for each of them."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

from support.agent import AgentProcess, Agents
from support.certificates import Authority
from support.postgres import USER_ID
from support.postgres_tls import MAJOR, tls_binaries, tls_template
from support.scratch import new_folder
from torpor_api import messages as m
from torpor_channel.address import TcpAddress
from torpor_channel.tls import AUTOSCALER, COMPUTE, Identity, Trust

AGENT_PORT = 7433

_hosts = (f"127.{1 + os.getpid() % 250}.{n >> 8}.{n & 255}" for n in count(1))
"""Where nobody else listens: each test process has a network of its own."""


class NetworkAgents(Agents):
    """As they are in pods: volumes are made by the agents themselves, from a template."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.authority = Authority()
        self.tls = self.authority.folder(root / "compute.tls", COMPUTE)
        self.asker = Trust(Identity(self.files_of(AUTOSCALER)), COMPUTE)

    def files_of(self, name: str) -> Path:
        return self.authority.folder(self.root / f"{name}.tls", name)

    def volume(self, place: Path | None = None) -> m.StoragePlace:
        """Of a database that was never started."""
        directory = place or self.root / f"volume-{len(self._volumes)}"
        self._volumes.append(directory)
        return m.StoragePlace(directory=str(directory), user_id=USER_ID, may_create=True)

    def _new(self, compute: str) -> AgentProcess:
        agent = super()._new(compute)
        agent.address = TcpAddress(next(_hosts), AGENT_PORT)
        agent.trust = self.asker
        return agent

    def _options(self, agent: AgentProcess) -> list[str]:
        return [
            *("--compute", agent.compute),
            *("--listen", str(agent.address), "--tls", str(self.tls)),
            *("--advertise", address_of(agent).host),
            *("--run-dir", str(agent.run_directory)),
            *("--postgres", str(tls_binaries().directory), "--postgres-version", MAJOR),
            *("--template", str(tls_template())),
        ]


def address_of(agent: AgentProcess) -> TcpAddress:
    assert isinstance(agent.address, TcpAddress)
    return agent.address


@contextlib.asynccontextmanager
async def agents_on_network() -> AsyncIterator[NetworkAgents]:
    """For the length of a test."""
    root = new_folder()
    agents = NetworkAgents(root)
    try:
        yield agents
    finally:
        await agents.close()
        shutil.rmtree(root)
