"""Where sessions of a database wait: may they attach, must somebody wake it, or is a transition on?

Pure: fed with what the autoscaler says and with ``now``. A gate that was closed opens again by
itself when nothing more is heard: a dead autoscaler must not keep clients out of an awake database.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torpor_api.messages import ComputeAddress, EndpointInfo


class Standing(Enum):
    """What a session that needs a compute has to do."""

    OPEN = "attach"
    CLOSED = "wait"
    ASLEEP = "wake"


@dataclass(slots=True)
class Gate:
    """The gate of one database in one proxy."""

    epoch: int = 0
    address: ComputeAddress | None = None
    closed_until: float | None = None
    held_until: float | None = None
    """The compute is there, and not everybody who hears for parked sessions is."""

    def told(self, info: EndpointInfo) -> bool:
        """The autoscaler's word on the database; False where it is older than what is known."""
        if info.epoch < self.epoch:
            return False
        if info.epoch > self.epoch or info.address is None:
            # It was closed for a compute that is gone.
            self.closed_until = None
        self.epoch = info.epoch
        self.address = info.address
        self.held_until = None
        return True

    def fall_back(self, epoch: int) -> None:
        """What was known is of a time that never was: record and volume were restored from an older
        state. It is asleep until more is told."""
        self.epoch, self.address = epoch, None
        self.closed_until = self.held_until = None

    def hold(self, info: EndpointInfo, until: float) -> bool:
        """Its compute is told before anybody may attach to it; False where a later one is known."""
        if not self.told(info):
            return False
        self.held_until = until
        return True

    def close(self, epoch: int, until: float) -> bool:
        """False where a later compute is known already.

        The compute may be so new that its address is still on the way: the gate is closed for it.
        """
        if epoch < self.epoch:
            return False
        if epoch > self.epoch:
            self.epoch, self.address, self.held_until = epoch, None, None
        self.closed_until = until
        return True

    def open(self, epoch: int) -> None:
        """Of another epoch than the present one: nothing to open."""
        if epoch == self.epoch:
            self.closed_until = self.held_until = None

    @property
    def opens_at(self) -> float | None:
        """When it opens by itself; None: it is not closed."""
        return max((at for at in (self.closed_until, self.held_until) if at), default=None)

    def standing(self, now: float) -> Standing:
        """For a session that wants to attach at ``now``."""
        if self.opens_at is not None and now < self.opens_at:
            return Standing.CLOSED
        return Standing.OPEN if self.address is not None else Standing.ASLEEP
