"""What was measured of an awake database in its last second, for the person who asks why it has the
size that it has: the figures that decide, and those by which a person judges them."""

from __future__ import annotations

from collections.abc import Iterator

from torpor_api.messages import ComputeSample, ComputeUse, PostgresUse
from torpor_autoscaler.core import reasons
from torpor_autoscaler.lifecycle.watched import FIGURE_MAX, Watched, elapsed

_MIB = 1 << 20


def lines(watched: Watched | None, now: float) -> tuple[str, ...]:
    """One; none of a database that nobody samples, because its size is fixed."""
    if watched is None or watched.told is None:
        return ()
    ago = reasons.duration(watched.history.age_s(now))
    return (f"measured, {ago} ago: {', '.join(_figures(watched, watched.told))}",)


def _figures(watched: Watched, told: ComputeSample) -> Iterator[str]:
    latest, before = watched.history.latest, watched.before
    assert latest is not None
    if latest.cpu is not None:
        yield f"{latest.cpu:.2f} CPU"
    if latest.memory_bytes is not None:
        yield f"memory in use {latest.memory_bytes / _MIB:.0f} MiB"
    if latest.working_set_bytes is not None:
        yield f"working set {latest.working_set_bytes / _MIB:.0f} MiB"
    if told.use.file_bytes is not None:
        yield f"files cached {told.use.file_bytes >> 20} MiB"
    if before is not None and (elapsed_s := elapsed(before, told)) is not None:
        yield from _of_the_container(before.use, told.use, elapsed_s)
        if before.postgres is not None and told.postgres is not None:
            yield from _of_postgres(before.postgres, told.postgres, elapsed_s)
    if told.postgres is not None and told.postgres.waiting_backends:
        waits = sorted(told.postgres.waiting_backends.items())
        yield "backends that wait: " + " ".join(f"{kind} {count}" for kind, count in waits)


def _of_the_container(before: ComputeUse, told: ComputeUse, elapsed_s: float) -> Iterator[str]:
    if held_back_s := _grown(before.throttled_seconds, told.throttled_seconds):
        yield f"held back by its CPUs for {held_back_s / elapsed_s:.2f} s/s"
    if refaults := _grown(before.refaults, told.refaults):
        yield f"pages of files read again for want of memory {refaults / elapsed_s:.3g}/s"


def _of_postgres(before: PostgresUse, told: PostgresUse, elapsed_s: float) -> Iterator[str]:
    if transactions := _grown(before.transactions, told.transactions):
        yield f"transactions {transactions / elapsed_s:.3g}/s"
    if statements := _grown(before.statements, told.statements):
        each_ms = 1000 * _grown(before.statement_seconds, told.statement_seconds) / statements
        yield f"statements {statements / elapsed_s:.3g}/s of {each_ms:.3g} ms"
    hit = _grown(before.blocks_hit, told.blocks_hit)
    if wanted := hit + _grown(before.blocks_read, told.blocks_read):
        yield f"{100 * hit / wanted:.1f} % of pages found in shared buffers"
    if evictions := _grown(before.evictions, told.evictions):
        yield f"buffers evicted {evictions / elapsed_s:.3g}/s"
    for name, grown in (
        ("read", _grown(before.read_bytes, told.read_bytes)),
        ("written", _grown(before.written_bytes, told.written_bytes)),
        ("WAL", _grown(before.wal_bytes, told.wal_bytes)),
        ("sorted outside of memory", _grown(before.temporary_bytes, told.temporary_bytes)),
    ):
        unit, size = ("MiB", _MIB) if grown >= _MIB * elapsed_s / 10 else ("KiB", 1 << 10)
        if grown:
            yield f"{name} {grown / size / elapsed_s:.3g} {unit}/s"


def _grown(before: float | None, told: float | None) -> float:
    """Of a total. 0, which is not told, where one is unknown, where it has begun anew because
    somebody has reset it, and where it can't be."""
    if before is None or told is None or not 0 < told - before < FIGURE_MAX:
        return 0.0
    return float(told - before)
