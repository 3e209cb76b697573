"""When a database was last used, and how it is, over what its proxies say. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from torpor_api.failures import Failure, NotFound, Unavailable
from torpor_api.messages import LastUse, UseReport
from torpor_autoscaler.core.sleep import last_use
from torpor_autoscaler.lifecycle.database import Database


def last(answers: Iterable[LastUse | Failure]) -> LastUse:
    """The latest. Raises Unavailable where one of them is not known."""
    found: list[float] = []
    for answer in answers:
        if isinstance(answer, Failure) and not isinstance(answer, NotFound):
            raise Unavailable(f"when a proxy used it is not known: {answer.message}")
        if isinstance(answer, LastUse) and answer.ago_s is not None:
            found.append(answer.ago_s)
    return LastUse(ago_s=min(found, default=None))


def report(database: Database, now: float) -> UseReport:
    """Of an awake one."""
    views = database.world.proxies.views(database.name, now)
    samples = [view.sample for view in views if view.sample is not None]
    # Who waits for the database is counted as busy, and has used nothing yet.
    is_used = any(sample.busy > sample.waiting for sample in samples)
    return UseReport(
        name=database.name,
        ago_s=0.0 if is_used else max(now - last_use(views, database.used_at), 0.0),
        queries_total=sum(sample.queries_total for sample in samples),
        sessions=sum(sample.sessions for sample in samples),
        cu=database.size.cu,
    )
