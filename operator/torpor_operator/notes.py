"""Events of events.k8s.io: few, for people, and none of them twice in a while."""

from __future__ import annotations

import hashlib
import logging

from torpor_api.failures import Failure
from torpor_kube.documents import metadata, name_of, namespace_of
from torpor_kube.kinds import EVENT
from torpor_kube.port import Document, Kube
from torpor_operator.core.actions import Tell
from torpor_operator.ports import Clock
from torpor_operator.times import api_micro_time

log = logging.getLogger(__name__)

CONTROLLER = "torpor.dev/operator"

QUIET_S = 600.0
"""For so long the same is not said again of the same object."""

REMEMBERED_MAX = 2000

NOTE_CHARACTERS_MAX = 1024
"""What the API takes."""


class Notes:
    """A courtesy: what can't be told is logged, and nothing waits for it."""

    def __init__(self, kube: Kube, clock: Clock, identity: str) -> None:
        self._kube = kube
        self._clock = clock
        self._identity = identity
        self._told: dict[int, float] = {}
        """When, by a hash of what: of two that share one, the later is told late."""

    async def tell(self, what: Tell) -> None:
        key = hash((str(metadata(what.about).get("uid")), what.reason, what.note))
        now = self._clock.now()
        if now - self._told.get(key, -QUIET_S) < QUIET_S:
            return
        self._told[key] = now
        if len(self._told) > REMEMBERED_MAX:
            del self._told[next(iter(self._told))]
        log.info("told", extra={"object": name_of(what.about), "reason": what.reason})
        try:
            await self._kube.create(EVENT, self._event(what))
        except Failure as failure:
            log.warning("event_lost", extra={"reason": what.reason, "why": failure.message})

    def _event(self, what: Tell) -> Document:
        at = api_micro_time(self._clock.wall_s())
        about, whole = what.about, metadata(what.about)
        mark = hashlib.sha256(f"{at} {what.reason} {what.note}".encode()).hexdigest()
        return {
            "metadata": {
                "name": f"{name_of(about)}.{mark[:16]}",
                "namespace": namespace_of(about),
            },
            "eventTime": at,
            "type": what.weight.value,
            "reason": what.reason,
            "action": "Reconcile",
            "note": what.note[:NOTE_CHARACTERS_MAX],
            "reportingController": CONTROLLER,
            "reportingInstance": self._identity,
            "regarding": {
                "apiVersion": about.get("apiVersion"),
                "kind": about.get("kind"),
                "name": name_of(about),
                "namespace": namespace_of(about),
                "uid": whole.get("uid", ""),
            },
        }
