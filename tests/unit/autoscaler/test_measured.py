"""What was measured in the last second, as `torpor why` tells it."""

from __future__ import annotations

from math import inf
from typing import Any

from torpor_api import messages as m
from torpor_autoscaler.lifecycle import measured
from unit.autoscaler.sized import MIB, Compute, in_use

TOTALS: dict[str, Any] = {
    "transactions": 5000.0,
    "blocks_hit": 10_000,
    "blocks_read": 400,
    "temporary_bytes": 0,
    "read_bytes": 7 * MIB,
    "written_bytes": 70 * MIB,
    "evictions": 0,
    "wal_bytes": 700 * MIB,
    "backends": 9,
    "active_backends": 3,
    "waiting_backends": {},
    "statements": 100,
    "statement_seconds": 3.0,
}


def use(**changed: Any) -> m.PostgresUse:
    return m.PostgresUse(**{**TOTALS, **changed})


def told(compute: Compute) -> str:
    (line,) = measured.lines(compute.story.database.watched, compute.story.world.now + 1.0)
    return line


def test_rates_are_of_the_time_between_two_samples() -> None:
    compute = in_use(maxCU=2)
    compute.second(postgres=use())
    compute.second(
        cpu=0.5,
        elapsed_s=2.0,
        postgres=use(
            transactions=5024.0,
            blocks_hit=10_990,
            blocks_read=410,
            read_bytes=8 * MIB,
            written_bytes=70 * MIB + 8192,
            wal_bytes=703 * MIB,
            evictions=6,
            statements=120,
            statement_seconds=3.5,
            waiting_backends={"Lock": 2, "IO": 1},
        ),
    )
    assert told(compute) == (
        "measured, 1s ago: 0.50 CPU, memory in use 100 MiB, working set 50 MiB, transactions 12/s, "
        "statements 10/s of 25 ms, 99.0 % of pages found in shared buffers, buffers evicted 3/s, "
        "read 0.5 MiB/s, written 4 KiB/s, WAL 1.5 MiB/s, backends that wait: IO 1 Lock 2"
    )


def test_one_sample_alone_tells_no_rate() -> None:
    compute = in_use(maxCU=2)
    compute.second(postgres=use(waiting_backends={"IO": 1}))
    expected = "memory in use 100 MiB, working set 50 MiB, backends that wait: IO 1"
    assert told(compute) == f"measured, 1s ago: {expected}"


def test_neither_do_totals_that_have_begun_anew_can_not_be_are_far_apart_or_missing() -> None:
    begun_anew = {name: 0 for name, total in TOTALS.items() if isinstance(total, int | float)}
    for elapsed_s, later in (
        (1.0, use(**begun_anew)),
        (1.0, use(wal_bytes=1 << 2000, transactions=inf)),
        (60.0, use(wal_bytes=1 << 40)),
        (1.0, None),
    ):
        compute = in_use(maxCU=2)
        compute.second(postgres=use())
        compute.second(elapsed_s=elapsed_s, postgres=later, working_set=None)
        shown = told(compute).removeprefix("measured, 1s ago: ").removeprefix("0.00 CPU, ")
        assert shown == "memory in use 100 MiB"


def test_what_its_limits_cost_is_told_where_it_is_known() -> None:
    compute = in_use(maxCU=2)
    figures = {"cpu_seconds": 900.0, "memory_bytes": 0, "anonymous_bytes": 0}
    seen = []
    for throttled_s, refaults in ((None, None), (3.0, 500), (3.25, 512)):
        use = m.ComputeUse(
            **figures,
            shared_memory_bytes=0,
            file_bytes=300 * MIB,
            throttled_seconds=throttled_s,
            refaults=refaults,
        )
        compute.second(use=use)
        seen.append(told(compute).partition("files cached ")[2])
    assert seen == [
        "300 MiB",
        "300 MiB",
        "300 MiB, held back by its CPUs for 0.25 s/s, "
        "pages of files read again for want of memory 12/s",
    ]


def test_nothing_is_told_of_what_nobody_samples() -> None:
    assert measured.lines(None, 100.0) == ()
