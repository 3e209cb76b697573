"""In which phase each database was, and when, as the cluster tells whoever watches."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from math import inf
from pathlib import Path

from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_channel.client import dialled
from torpor_channel.peer import Peer

WATCH_SECONDS_MAX = 30.0
Span = tuple[float, float]


class Phases:
    """Changes of phase by ``time.monotonic``, in the order in which they were told."""

    def __init__(self) -> None:
        self._told: dict[str, list[tuple[float, Phase]]] = {}

    def told(self, name: str, phase: Phase, at: float) -> None:
        told = self._told.setdefault(name, [])
        if not told or told[-1][1] is not phase:
            told.append((at, phase))

    def now(self, name: str) -> Phase | None:
        told = self._told.get(name)
        return told[-1][1] if told else None

    def spans(self, name: str, *phases: Phase) -> list[Span]:
        """When it was in one of these; where that goes on, it ends at infinity."""
        found: list[Span] = []
        for (begin, phase), (end, _) in pairwise([*self._told.get(name, []), (inf, None)]):
            if phase not in phases:
                continue
            if found and found[-1][1] == begin:
                begin = found.pop()[0]
            found.append((begin, end))
        return found

    def awake(self, name: str) -> list[Span]:
        """From the claim of a compute to the moment when nothing serves it any more."""
        return self.spans(name, Phase.RESUMING, Phase.ACTIVE, Phase.SUSPENDING)


def within(spans: list[Span], begin: float, end: float) -> float:
    """How many of these seconds the spans cover."""
    return sum(max(min(until, end) - max(since, begin), 0.0) for since, until in spans)


@contextlib.contextmanager
def watched(cluster: Path) -> Iterator[Phases]:
    """What is told over the cluster's socket meanwhile, beginning with all that is so now."""
    phases, is_up, stop = Phases(), threading.Event(), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_watch(cluster, phases, is_up, stop)), daemon=True
    )
    thread.start()
    if not is_up.wait(WATCH_SECONDS_MAX):
        raise RuntimeError(f"nobody tells of databases at {cluster}")
    try:
        yield phases
    finally:
        stop.set()
        thread.join()


async def _watch(
    cluster: Path, phases: Phases, is_up: threading.Event, stop: threading.Event
) -> None:
    async def changed(_: Peer, event: m.ResourceChanged) -> None:
        resource = event.resource
        phases.told(resource.name, resource.status.phase, time.monotonic())

    async with dialled(cluster, {m.ResourceChanged: changed}) as peer:
        listed = await peer.ask(m.WatchResources(), timeout_s=WATCH_SECONDS_MAX)
        for resource in listed.resources:
            phases.told(resource.name, resource.status.phase, time.monotonic())
        is_up.set()
        await asyncio.to_thread(stop.wait)
