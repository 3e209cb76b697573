"""What was measured of an awake database in its last second, for the person who asks why it has the
size that it has: the figures that decide, and those by which a person judges them."""

from __future__ import annotations

from collections.abc import Iterator

from torpor_api.messages import ComputeSample, PostgresUse
from torpor_autoscaler.core import reasons
from torpor_autoscaler.lifecycle.watched import Watched, elapsed

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
    if before is not None and (elapsed_s := elapsed(before, told)) is not None:
        if before.postgres is not None and told.postgres is not None:
            yield from _rates(before.postgres, told.postgres, elapsed_s)
        held_back_s = (told.use.throttled_seconds or 0.0) - (before.use.throttled_seconds or 0.0)
        if held_back_s > 0:
            yield f"held back by its CPUs for {held_back_s / elapsed_s:.2f} s/s"
    if told.postgres is not None and told.postgres.waiting_backends:
        waits = sorted(told.postgres.waiting_backends.items())
        yield "backends that wait: " + " ".join(f"{kind} {count}" for kind, count in waits)


def _rates(before: PostgresUse, told: PostgresUse, elapsed_s: float) -> Iterator[str]:
    """Of totals, which begin anew when somebody resets them: then they tell nothing."""
    yield from _rate("transactions", told.transactions - before.transactions, elapsed_s, "/s")
    hit, read = told.blocks_hit - before.blocks_hit, told.blocks_read - before.blocks_read
    if hit >= 0 and read >= 0 and hit + read:
        yield f"{100 * hit / (hit + read):.1f} % of pages found in shared buffers"
    for name, grown in (
        ("read", told.read_bytes - before.read_bytes),
        ("written", told.written_bytes - before.written_bytes),
        ("WAL", told.wal_bytes - before.wal_bytes),
        ("sorted outside of memory", told.temporary_bytes - before.temporary_bytes),
    ):
        unit, size = ("MiB", _MIB) if grown >= _MIB * elapsed_s / 10 else ("KiB", 1 << 10)
        yield from _rate(name, grown / size, elapsed_s, f" {unit}/s")


def _rate(name: str, grown: float, elapsed_s: float, unit: str) -> Iterator[str]:
    """What did not happen is not told."""
    if grown > 0:
        yield f"{name} {grown / elapsed_s:.3g}{unit}"
