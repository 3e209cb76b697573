"""What the autoscaler says, as rows; each has the columns of its verb. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from torpor_api import messages as m
from torpor_api.transition import Transition
from torpor_proxy.console.values import Row, moment


def of_database(row: m.DatabaseRow) -> Row:
    return (
        *(row.name, row.phase, row.is_ready, row.cu, row.max_cu),
        *(row.sessions, row.attached, row.parked, row.waiting, row.busy, row.pinned),
        *(row.queries_per_s, row.cpu, row.memory_bytes),
        *(row.wakes_last_hour, row.slowest_wake_ms),
        *(row.last_wake_ms, moment(row.last_wake_at), row.last_wake_cause),
        *(row.pool, row.compute, row.epoch, row.why, moment(row.wakes_known_since)),
    )


def of_session(database: str, session: m.SessionInfo) -> Row:
    return (
        *(database, session.session, session.user, session.dbname, session.application),
        *(session.client, session.state, round(session.since_s, 3), session.reason),
        *(session.process_id or None, session.backend_process_id or None),
        *(session.is_captured, session.proxy),
    )


def of_wake(told: Transition) -> Row:
    slowest = max(told.critical_chain, key=lambda span: span.ms, default=None)
    return (
        *(moment(told.at), told.database, told.kind, told.total_ms),
        *((None, None) if slowest is None else (slowest.name, slowest.ms)),
        *(told.cause, told.epoch or None, told.compute, told.failure),
        *(told.is_recorded, told.is_unfinished),
    )


def of_chain(told: Transition) -> Iterator[Row]:
    for span in told.spans:
        yield (
            *(moment(told.at), told.kind, span.depth, span.name, span.where),
            *(span.begin_ms, span.ms, span.slack_ms, span.is_critical),
            *(told.is_recorded, told.is_unfinished),
        )


def of_pool(pool: m.PoolRow) -> Row:
    return (pool.name, pool.wanted, pool.warm, pool.claimed, pool.waiting, pool.why)


def of_compute(compute: m.ComputeRow) -> Row:
    return (
        *(compute.compute, compute.state, compute.pool, compute.node),
        *(compute.database, compute.epoch, compute.cu, compute.is_outdated),
    )


def of_decision(decided: m.Decided) -> Row:
    return (
        *(moment(decided.since), decided.loop, decided.follows, decided.metric),
        *(decided.value, decided.threshold, decided.unit, decided.window_s, decided.line),
    )


def of_sample(sample: m.EndpointSample) -> Row:
    latencies = sample.latencies or m.Latencies()
    return (
        *(sample.name, sample.sessions, sample.attached, sample.parked, sample.waiting),
        *(sample.busy, sample.in_flight, sample.queries_total),
        *(latencies.sum_s, latencies.mean_s * 1000.0, sample.idle_s),
    )
