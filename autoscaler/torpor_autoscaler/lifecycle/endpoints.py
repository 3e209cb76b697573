"""What proxies are told of a database."""

from __future__ import annotations

from collections.abc import Iterable

from torpor_api.messages import EndpointInfo, Endpoints
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle.database import Database

PAGE_BYTES_MAX = 1 << 20
"""Of a page of endpoints: some 2,000 databases with a role or two. Each side works on it for some
10 ms at a stretch, and has no more than that of it in memory, however many databases there are."""


def info(database: Database, *, opens: bool = False) -> EndpointInfo:
    """The address is told while Postgres is up and the gate open; without it sessions wait.

    ``opens``: as it will be in a moment.
    """
    run, spec = database.run, database.resource.spec
    is_open = database.is_open or (opens and database.is_up)
    proxies = max(1, len(database.world.proxies.names))
    return EndpointInfo(
        name=database.name,
        uid=database.resource.metadata.uid,
        phase=_phase(database),
        epoch=run.epoch if run else max(database.status.epoch, database.seen_epoch),
        address=run.address if run is not None and is_open else None,
        facts=database.facts,
        facts_are_exact=database.facts_are_exact,
        allow=spec.access.allow,
        keepalives=spec.keepalives,
        max_connections=max(1, run.max_connections // proxies) if run else 0,
        proxies=proxies if run else 0,
        listening=run.listening if run else (),
        reason=_reason(database),
    )


def page(names: Iterable[tuple[str, EndpointInfo | None]]) -> Endpoints:
    """As many of them, in their order, as go into one; the first in any case."""
    told, unknown, size, has_more = list[EndpointInfo](), list[str](), 0, False
    for name, endpoint in names:
        size += len(name if endpoint is None else endpoint.model_dump_json().encode())
        if size > PAGE_BYTES_MAX and (told or unknown):
            has_more = True
            break
        if endpoint is None:
            unknown.append(name)
        else:
            told.append(endpoint)
    return Endpoints(endpoints=tuple(told), unknown=tuple(unknown), has_more=has_more)


def is_up_to_date(database: Database, told: EndpointInfo | None, generation: int) -> bool:
    """Whether what proxies were told, and what a compute has carried out, is of this generation."""
    is_carried_out = database.observed_generation >= generation or database.spec_failure is not None
    return (
        database.resource.metadata.generation >= generation
        and not database.has_stale_facts
        and (database.run is None or is_carried_out)
        and told == info(database)
    )


def _phase(database: Database) -> Phase:
    """A suspend is nobody's affair before its gates are closed: it may still be called off."""
    if database.run is not None:
        return Phase.SUSPENDING if database.is_gate_closed else Phase.ACTIVE
    return database.phase


def _reason(database: Database) -> str:
    if database.phase is not Phase.FAILED:
        return ""
    if database.trouble is not None:
        return database.trouble.failure.message
    return "; ".join(c.message for c in database.status.conditions if c.status == "False")
