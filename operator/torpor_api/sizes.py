"""How large a compute is: what a unit stands for, and which size a database gets. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from math import ceil
from typing import Final

from torpor_api.quantities import CU_STEP

CPU_MILLI_PER_CU: Final = 1000
MEMORY_BYTES_PER_CU: Final = 4 << 30
"""A unit is 1 vCPU and 4 GiB of memory."""

START_CU: Final = Decimal(1)
"""That a compute starts with, where its spec allows it: what a warm one has, so that a wake needs
no resize, and a whole processor, without which a start is slow."""

IN_PLACE_SHARE: Final = Decimal("0.125")
"""Of ``maxCU``, up to which a compute can shrink while its Postgres runs."""

IN_PLACE_CU_MAX: Final = Decimal(1)
"""More is never needed for that: no shared buffers are larger than a quarter of its memory."""


@dataclass(frozen=True, slots=True)
class Size:
    """What Postgres's settings follow from."""

    cu: Decimal
    """Of the compute, now."""
    max_cu: Decimal
    """That it may grow to under the present spec."""


def cpu_milli(cu: Decimal) -> int:
    """Thousandths of a CPU."""
    return int(cu * CPU_MILLI_PER_CU)


def memory_bytes(cu: Decimal) -> int:
    return int(cu * MEMORY_BYTES_PER_CU)


def units_of(cpu_milli: int, memory_bytes: int) -> Decimal:
    """The largest size that both of these are enough for, in steps; 0: not even for the least."""
    by_cpu = Decimal(cpu_milli) / CPU_MILLI_PER_CU
    by_memory = Decimal(memory_bytes) / MEMORY_BYTES_PER_CU
    return min(by_cpu, by_memory) // CU_STEP * CU_STEP


def least_cu(min_cu: Decimal) -> Decimal:
    """The smallest size that a compute may have under this minimum."""
    return max(min_cu, CU_STEP)


def least_cu_in_place(max_cu: Decimal) -> Decimal:
    """The smallest size, in whole steps, at which shared buffers that are sized for ``max_cu`` take
    no more than a quarter of the memory. Below it Postgres has to be started again for less."""
    least = min(IN_PLACE_SHARE * max(max_cu, Decimal(1)), IN_PLACE_CU_MAX)
    return ceil(least / CU_STEP) * CU_STEP


def least_cu_by_itself(min_cu: Decimal, max_cu: Decimal) -> Decimal:
    """Smaller ones only a person chooses, as they may interrupt whoever uses the database."""
    return min(max(least_cu(min_cu), least_cu_in_place(max_cu)), max_cu)


def size_of(min_cu: Decimal, max_cu: Decimal, wanted_cu: Decimal | None) -> Size:
    """What somebody or something has chosen, within the bounds; None: as it starts."""
    wanted = START_CU if wanted_cu is None else wanted_cu
    return Size(max(least_cu(min_cu), min(wanted, max_cu)), max_cu)
