"""What the dashboard asks: of a single database, and of all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torpor_api import messages as m
from torpor_autoscaler.ports import FleetDesk


class DatabaseDesk(Protocol):
    """All of them raise NotFound; proxies and agents are asked for the answers."""

    async def wake(self, asked: m.Wake) -> m.Awake:
        """Raises the reason why it did not wake, at the deadline at the latest."""

    async def suspend(self, name: str) -> None:
        """Raises Busy or Refused with the reason."""

    async def sessions(self, asked: m.Sessions) -> m.SessionList: ...

    async def why(self, name: str) -> m.WhyReply: ...

    def decisions(self, name: str) -> m.DecisionList: ...


class WatchedFleet(FleetDesk, Protocol):
    """The fleet, and whoever is told when a row may be another one."""

    changed: Callable[[str], None]
    link: Callable[[], m.DashboardLink]
