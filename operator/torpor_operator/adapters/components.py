"""Asks the autoscaler and agents, over the control channel, as ``operator.torpor``."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeVar

from torpor_api.failures import Unavailable
from torpor_api.messages import (
    AskLetGo,
    EraseStorage,
    Message,
    Request,
    StoragePlace,
    Suspend,
)
from torpor_api.messages.people import LET_GO_MAX
from torpor_channel.address import TcpAddress
from torpor_channel.client import dialled
from torpor_channel.tls import AUTOSCALER, COMPUTE, Identity, Trust
from torpor_kube.names import AGENT_PORT
from torpor_operator.core.actions import Erase
from torpor_operator.core.naming import Key
from torpor_operator.core.seen_pods import SeenPod

SUSPEND_S_MAX = 75.0
"""More than the autoscaler's own deadline, so that its reason is heard."""

LET_GO_S_MAX = 2.0
"""The autoscaler only looks it up; and the pool's other business waits."""

ERASE_S_MAX = 300.0
"""Many files on a slow network volume."""

ReplyT = TypeVar("ReplyT", bound=Message)


class Components:
    """A connection for each question: they are rare."""

    def __init__(self, folder: Path, autoscaler: TcpAddress) -> None:
        self._folder = folder
        self._autoscaler = autoscaler
        self._identity: Identity | None = None

    async def suspend(self, database: Key) -> None:
        wish = Suspend(name=database.endpoint)
        await self._ask(self._autoscaler, AUTOSCALER, wish, SUSPEND_S_MAX)

    async def let_go(self, computes: Sequence[str]) -> Collection[str]:
        question = AskLetGo(computes=tuple(computes[:LET_GO_MAX]))
        told = await self._ask(self._autoscaler, AUTOSCALER, question, LET_GO_S_MAX)
        return told.computes

    async def erase(self, pod: SeenPod, order: Erase) -> None:
        wish = EraseStorage(
            database=order.database.endpoint,
            epoch=order.epoch,
            fenced=order.fenced,
            storage=StoragePlace(directory=order.directory, user_id=order.user_id),
            uid=order.uid,
            compute=pod.name,
        )
        await self._ask(TcpAddress(pod.ip, AGENT_PORT), COMPUTE, wish, ERASE_S_MAX)

    async def _ask(
        self, address: TcpAddress, name: str, wish: Request[ReplyT], timeout_s: float
    ) -> ReplyT:
        async with dialled(address, trust=Trust(self._me(), name)) as peer:
            return await peer.ask(wish, timeout_s=timeout_s)

    def _me(self) -> Identity:
        """Made at the first question: the operator makes its own certificate, too."""
        if self._identity is None:
            if not (self._folder / "tls.crt").exists():
                raise Unavailable("the operator's own certificate is not made yet")
            self._identity = Identity(self._folder)
        return self._identity
