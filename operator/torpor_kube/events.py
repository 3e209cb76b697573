"""Events of events.k8s.io: few, for people, and none of them twice in a while."""

from __future__ import annotations

import hashlib
import logging

from torpor_api.failures import Failure
from torpor_api.identity import endpoint_name
from torpor_kube.documents import metadata, name_of, namespace_of
from torpor_kube.kinds import EVENT, SERVERLESS_DATABASE
from torpor_kube.port import Document, Kube
from torpor_kube.times import Clock, api_micro_time

log = logging.getLogger(__name__)

QUIET_S = 600.0
"""For so long the same is not said again of the same object."""

LOST_QUIET_S = 60.0
"""The same after one that the API server did not take: who says it at each look is not to ask at
each of them where a quota is full."""

REMEMBERED_MAX = 20_000
"""As many objects may have trouble at once and be told of it once in a while; 100 bytes each."""

NOTE_BYTES_MAX = 1024
"""What the API takes."""


class Events:
    """A courtesy: what can't be told is logged, and nothing waits for it."""

    def __init__(
        self, kube: Kube, clock: Clock, *, controller: str, instance: str, action: str
    ) -> None:
        """Who tells them: ``controller`` is its name, ``instance`` which one of it; ``action``: in
        a word, what it was doing."""
        self._kube = kube
        self._clock = clock
        self._head = {
            "reportingController": controller,
            "reportingInstance": instance,
            "action": action,
        }
        self._quiet: dict[int, float] = {}
        """Until when, by a hash of what: of two that share one, the later is told late."""

    async def tell(self, about: Document, reason: str, note: str, *, is_warning: bool) -> None:
        """Of an object, of which kind, name, namespace and uid are enough. Never raises."""
        key = hash((str(metadata(about).get("uid")), reason, note))
        now = self._clock.now()
        if now < self._quiet.get(key, now):
            return
        self._quiet.pop(key, None)  # What was said last stands last.
        self._forget(now)
        self._quiet[key] = now + QUIET_S
        log.info("told", extra={**log_keys(about), "said": reason})
        try:
            await self._kube.create(EVENT, self._event(about, reason, note, is_warning))
        except Failure as failure:
            self._quiet[key] = now + LOST_QUIET_S
            fields = {**log_keys(about), "said": reason, "reason": failure.message}
            log.warning("event_lost", extra=fields)

    def _forget(self, now: float) -> None:
        """What may be said again anyway, and the oldest where there is too much."""
        while self._quiet:
            oldest = next(iter(self._quiet))
            is_quiet = now < self._quiet[oldest]
            if is_quiet and len(self._quiet) < REMEMBERED_MAX:
                return
            del self._quiet[oldest]

    def _event(self, about: Document, reason: str, note: str, is_warning: bool) -> Document:
        at = api_micro_time(self._clock.wall_s())
        mark = hashlib.sha256(f"{at} {reason} {note}".encode()).hexdigest()
        return {
            "metadata": {
                "name": f"{name_of(about)}.{mark[:16]}",
                "namespace": namespace_of(about),
            },
            **self._head,
            "eventTime": at,
            "type": "Warning" if is_warning else "Normal",
            "reason": reason,
            "note": note.encode()[:NOTE_BYTES_MAX].decode(errors="ignore"),
            "regarding": {
                "apiVersion": about.get("apiVersion"),
                "kind": about.get("kind"),
                "name": name_of(about),
                "namespace": namespace_of(about),
                "uid": metadata(about).get("uid", ""),
            },
        }


def log_keys(about: Document) -> dict[str, object]:
    """What each line about an object in the log has."""
    name, namespace, kind = name_of(about), namespace_of(about), about.get("kind")
    keys: dict[str, object] = {"kind": kind, "object": f"{namespace}/{name}"}
    is_database = kind == SERVERLESS_DATABASE.kind
    return keys | {"database": endpoint_name(name, namespace)} if is_database else keys
