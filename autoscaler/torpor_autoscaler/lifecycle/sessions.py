"""The sessions of one database over all proxies, as a person wants to see them."""

from __future__ import annotations

from collections.abc import Mapping

from torpor_api.failures import Failure, NotFound
from torpor_api.messages import (
    EndpointSample,
    SessionInfo,
    SessionList,
    SessionReport,
    SessionStanding,
)

RANKS = {
    SessionStanding.PINNED: 0,
    SessionStanding.WAITING: 1,
    SessionStanding.ATTACHED: 2,
    SessionStanding.PARKED: 3,
}
"""Those that keep the database awake come first."""


def merged(answers: Mapping[str, SessionList | Failure], limit: int) -> SessionList:
    """One list of all; within the same standing those first that have been in it for longest."""
    lists = {proxy: told for proxy, told in answers.items() if isinstance(told, SessionList)}
    found = [
        session.model_copy(update={"proxy": proxy})
        for proxy, told in lists.items()
        for session in told.sessions
    ]
    found.sort(key=_rank)
    # A proxy that does not know the database holds no session of it.
    silent = [p for p, told in answers.items() if p not in lists and not isinstance(told, NotFound)]
    return SessionList(
        sessions=tuple(found[:limit]),
        total=sum(told.total for told in lists.values()),
        missing=tuple(sorted(silent)),
    )


def seen(name: str, epoch: int, told: SessionList) -> EndpointSample:
    """What a list says, in the words of a sample."""
    kept_by = (info for info in told.sessions if info.reason)
    reports = tuple(map(_report, kept_by))
    return EndpointSample(name=name, epoch=epoch, sessions=told.total, pinned=reports)


def _report(info: SessionInfo) -> SessionReport:
    return SessionReport(
        session=info.session,
        user=info.user,
        application=info.application,
        client=info.client,
        reason=info.reason,
        since_s=info.since_s,
    )


def _rank(info: SessionInfo) -> tuple[int, bool, float]:
    return RANKS[info.state], not info.reason, -info.since_s
