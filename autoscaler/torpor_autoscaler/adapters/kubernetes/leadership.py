"""One autoscaler leads, by a Lease; the others stand by, and their pods are not asked.

Whoever leads has a label on its pod by which the Service chooses it. One that was killed leaves the
label behind: its successor takes it off, and so does whatever begins in that pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from torpor_api.failures import Failure, NotFound
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.ports import Clock
from torpor_autoscaler.settings import OnKubernetes
from torpor_kube.documents import name_of
from torpor_kube.election import Election
from torpor_kube.kinds import POD
from torpor_kube.leading import WhileLeading
from torpor_kube.lease import Terms
from torpor_kube.login import chosen
from torpor_kube.names import (
    AUTOSCALER,
    AUTOSCALER_MANAGER,
    COMPONENT_LABEL,
    LEADER_LABEL,
)
from torpor_kube.port import Kube
from torpor_kube.server import ApiServer

log = logging.getLogger(__name__)

TERMS = Terms(duration_s=10, renew_deadline_s=8.0, retry_s=1.0, attempt_s_max=3.0)
"""Of one that is killed in the moment after it renewed the successor reads so within 1 s, waits for
10 s, and has 4 s to list what there is and to be found by its Service: 15 s in all. A leader that
can't renew has 2 s to end in before that. Shorter terms would end one whose API server is slow for
once."""

LIMITS = Limits(start_grace_s=15.0)
"""Proxies come to a new leader later than to a socket on one machine: they may learn after 9 s that
a node has vanished, and then dial it once more in vain, for 5 s. Until they have come nobody knows
what their sessions do."""

RETRY_S = 1.0
"""Between two tries to be found; nobody can ask a leader whose pod has no label."""


class Leadership:
    """What one candidate has of it."""

    def __init__(self, kube: Kube, clock: Clock, place: OnKubernetes) -> None:
        self._kube = kube
        self._pod = place.identity
        self._namespace = place.system_namespace
        self.election = Election(
            kube, clock, place.identity, place.system_namespace, place.lease, TERMS
        )
        self._as_leader = WhileLeading(kube, self.election.leads)

    async def be_found(self) -> None:
        """By its Service, from now on; returns when it is, or when this one leads no more."""
        while self.election.leads():
            try:
                await self._label(self._as_leader, self._pod, "true")
                await self._hide_others()
                return
            except Failure as failure:
                log.warning("leader_not_found", extra={"reason": failure.message})
                await asyncio.sleep(RETRY_S)

    async def _hide_others(self) -> None:
        chosen_by = f"{COMPONENT_LABEL}={AUTOSCALER},{LEADER_LABEL}=true"
        page = await self._as_leader.page(POD, self._namespace, labels=chosen_by)
        for pod in page.items:
            if name_of(pod) != self._pod:
                await self._label(self._as_leader, name_of(pod), None)

    async def hide(self) -> None:
        """At the start: what ran in this pod before may have led."""
        try:
            await self._label(self._kube, self._pod, None)
        except Failure as failure:
            # Then it is chosen, does not listen, and whoever dials it dials again.
            log.warning("label_not_removed", extra={"reason": failure.message})

    async def _label(self, kube: Kube, pod: str, value: str | None) -> None:
        patch = {"metadata": {"labels": {LEADER_LABEL: value}}}
        try:
            await kube.patch(POD, pod, self._namespace, patch)
        except NotFound:
            # Gone; or this one runs outside of the cluster, and whoever started it knows where.
            log.info("no_such_pod", extra={"pod": pod})


@contextlib.asynccontextmanager
async def standing(place: OnKubernetes, clock: Clock) -> AsyncIterator[Leadership]:
    """For as long as the block lasts, and then it is the next one's turn at once."""
    # A client of its own: no question is to stand before the Lease's.
    kube = ApiServer(chosen(place.kubeconfig), manager=AUTOSCALER_MANAGER)
    leadership = Leadership(kube, clock, place)
    await leadership.hide()
    candidate = asyncio.create_task(leadership.election.run())
    try:
        yield leadership
    finally:
        candidate.cancel()
        await asyncio.gather(candidate, return_exceptions=True)
        await leadership.election.release()
        await kube.close()
