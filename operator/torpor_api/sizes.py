"""How large a compute is: what a unit stands for, and which size a database gets. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from torpor_api.quantities import CU_STEP

CPU_MILLI_PER_CU: Final = 1000
MEMORY_BYTES_PER_CU: Final = 4 << 30
"""A unit is 1 vCPU and 4 GiB of memory."""


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


def size_of(min_cu: Decimal, max_cu: Decimal, chosen_cu: Decimal | None) -> Size:
    """What a person has chosen, within the bounds; without a choice the largest."""
    wanted = max_cu if chosen_cu is None else chosen_cu
    return Size(max(least_cu(min_cu), min(wanted, max_cu)), max_cu)
