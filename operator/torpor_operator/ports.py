"""What the operator needs of others, besides the API server (:class:`torpor_kube.port.Kube`)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from torpor_operator.core.actions import Erase
from torpor_operator.core.naming import Key
from torpor_operator.core.seen_pods import SeenPod


class Autoscaler(Protocol):
    """Whoever decides about sleep."""

    async def suspend(self, database: Key) -> None:
        """Put it to sleep now. Raises Busy or Refused with the reason, Unavailable where the
        outcome is unknown; asked of one that sleeps it does nothing."""

    async def let_go(self, computes: Sequence[str]) -> Collection[str]:
        """Those of these ended computes that nobody will claim any more. Raises Unavailable."""


class Agents(Protocol):
    """The agents in the pods of computes."""

    async def erase(self, pod: SeenPod, order: Erase) -> None:
        """Have this agent, which serves nobody, remove the data; it never serves anybody then. May
        be asked again, of another one too. Raises NotFenced and StaleEpoch, after which it holds
        nothing; Conflict where it serves somebody, is at another erase or ends."""
