"""Leads only while the Lease says so."""

from __future__ import annotations

import asyncio
import logging

from torpor_api.failures import Conflict, Failure, NotFound
from torpor_kube.kinds import LEASE
from torpor_kube.port import Kube
from torpor_operator.core.lease import (
    RETRY_S,
    Elector,
    Look,
    Record,
    Take,
    lease_spec,
    record_of,
)
from torpor_operator.ports import Clock
from torpor_operator.times import api_micro_time

log = logging.getLogger(__name__)

ATTEMPT_S_MAX = 5.0
"""For one look and one write: two attempts fit into the time after which a leader steps down."""


class Election:
    """One candidate for one Lease."""

    def __init__(self, kube: Kube, clock: Clock, identity: str, namespace: str, name: str) -> None:
        self._kube = kube
        self._clock = clock
        self._namespace = namespace
        self._name = name
        self._elector = Elector(identity)
        self._written: Record | None = None
        """The Lease as we have just written it: to renew it takes one question and not two."""
        self.won = asyncio.Event()
        self.lost = asyncio.Event()
        """Set once, when what was won is lost: whoever led must end."""

    async def run(self) -> None:
        """Until it has lost; a candidate that has not won tries for ever.

        However it ends: nobody leads whose Lease is not renewed any more.
        """
        try:
            await self._stand()
        finally:
            if self.won.is_set():
                self.lost.set()

    async def _stand(self) -> None:
        while True:
            pause_s = await self._try()
            leads = self._elector.leads(self._clock.now())
            if leads and not self.won.is_set():
                log.info("leading", extra={"lease": self._name})
                self.won.set()
            if self.won.is_set() and not leads:
                log.warning("leadership_lost", extra={"lease": self._name})
                return
            await asyncio.sleep(pause_s)

    async def _try(self) -> float:
        """Seconds until the next attempt."""
        written, self._written = self._written, None
        try:
            async with asyncio.timeout(ATTEMPT_S_MAX):
                step = self._elector.decide(written or await self._read(), self._clock.now())
                if isinstance(step, Look):
                    return step.in_s
                self._written = await self._take(step)
        except (Failure, TimeoutError) as failure:
            # A Conflict: another one was faster. A look says who.
            level = logging.INFO if isinstance(failure, Conflict) else logging.WARNING
            log.log(level, "lease_not_taken", extra={"reason": str(failure) or "timeout"})
            if written and isinstance(failure, Conflict | NotFound):
                return 0.0
        except Exception:
            # Whoever leads must hear that it leads no more, and not of a task that has ended.
            log.exception("lease_defect", extra={"lease": self._name})
        return RETRY_S

    async def _read(self) -> Record | None:
        try:
            return record_of(await self._kube.get(LEASE, self._name, self._namespace))
        except NotFound:
            return None

    async def _take(self, take: Take) -> Record:
        begun = self._clock.now()
        at = api_micro_time(self._clock.wall_s())
        spec = lease_spec(self._elector.identity, take, at)
        if take.version:
            patch = {"metadata": {"resourceVersion": take.version}, "spec": spec}
            made = await self._kube.patch(LEASE, self._name, self._namespace, patch)
        else:
            where = {"name": self._name, "namespace": self._namespace}
            made = await self._kube.create(LEASE, {"metadata": where, "spec": spec})
        self._elector.took(begun)
        return record_of(made)

    async def release(self) -> None:
        """At an orderly end: the other one need not wait."""
        if not self._elector.leads(self._clock.now()):
            return
        try:
            async with asyncio.timeout(ATTEMPT_S_MAX):
                record = await self._read()
                if record is None or record.holder != self._elector.identity:
                    return
                patch = {
                    "metadata": {"resourceVersion": record.version},
                    "spec": {"holderIdentity": ""},
                }
                await self._kube.patch(LEASE, self._name, self._namespace, patch)
        except (Failure, TimeoutError) as failure:
            log.info("lease_not_released", extra={"reason": str(failure) or "timeout"})
