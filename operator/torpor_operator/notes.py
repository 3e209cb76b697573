"""What the operator has to say to people, as events."""

from __future__ import annotations

from torpor_kube.events import Events
from torpor_kube.port import Kube
from torpor_kube.times import Clock
from torpor_operator.core.actions import Tell, Weight

CONTROLLER = "torpor.dev/operator"


class Notes:
    """A courtesy: see :class:`Events`."""

    def __init__(self, kube: Kube, clock: Clock, identity: str) -> None:
        self._events = Events(
            kube, clock, controller=CONTROLLER, instance=identity, action="Reconcile"
        )

    async def tell(self, what: Tell) -> None:
        is_warning = what.weight is Weight.WARNING
        await self._events.tell(what.about, what.reason, what.note, is_warning=is_warning)
