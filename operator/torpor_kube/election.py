"""Leads only while the Lease says so."""

from __future__ import annotations

import asyncio
import logging

from torpor_api.failures import Conflict, Failure, NotFound
from torpor_kube.kinds import LEASE
from torpor_kube.lease import Elector, Look, Record, Take, Terms, record_of
from torpor_kube.port import Kube
from torpor_kube.times import Clock, api_micro_time

log = logging.getLogger(__name__)


async def first_of(*events: asyncio.Event) -> int:
    """Which of them is set first."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return next(number for number, event in enumerate(events) if event.is_set())


class Election:
    """One candidate for one Lease."""

    def __init__(
        self, kube: Kube, clock: Clock, identity: str, namespace: str, name: str, terms: Terms
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._namespace = namespace
        self._name = name
        self._terms = terms
        self._elector = Elector(identity, terms)
        self._written: Record | None = None
        """The Lease as we have just written it: to renew it takes one question and not two."""
        self.is_held = asyncio.Event()
        """Somebody leads, this one or another; set once."""
        self.won = asyncio.Event()
        self.lost = asyncio.Event()
        """Set once, when what was won is lost: whoever led must end."""

    def leads(self) -> bool:
        """At this very moment, by the clock: also in a process that was stopped for a while, and
        whose other tasks have not run since."""
        return self._elector.leads(self._clock.now())

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
        while self.leads() or not self.won.is_set():
            pause_s = await self._try()
            if self.leads() and not self.won.is_set():
                log.info("leading", extra={"lease": self._name})
                self.is_held.set()
                self.won.set()
            await asyncio.sleep(self._at_most(pause_s))
        log.warning("leadership_lost", extra={"lease": self._name})

    def _at_most(self, seconds: float) -> float:
        """And no longer than it leads: whoever leads no more says so in that moment."""
        left_s = self._elector.leads_for_s(self._clock.now())
        return min(seconds, left_s) if self.won.is_set() else seconds

    async def _try(self) -> float:
        """Seconds until the next attempt."""
        written, self._written = self._written, None
        try:
            async with asyncio.timeout(self._at_most(self._terms.attempt_s_max)):
                step = self._elector.decide(written or await self._read(), self._clock.now())
                if isinstance(step, Look):
                    self.is_held.set()
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
        return self._terms.retry_s

    async def _read(self) -> Record | None:
        try:
            return record_of(await self._kube.get(LEASE, self._name, self._namespace))
        except NotFound:
            return None

    async def _take(self, take: Take) -> Record:
        begun = self._clock.now()
        spec = self._elector.spec(take, api_micro_time(self._clock.wall_s()))
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
        if not self.leads():
            return
        try:
            async with asyncio.timeout(self._terms.attempt_s_max):
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
