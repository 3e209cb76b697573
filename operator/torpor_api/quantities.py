"""Durations and sizes as people write them in resources: ``90s``, ``5m``, ``10Gi``, ``0.25``."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

from torpor_api.brief import brief

_DURATION_PART = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_MS_PER_UNIT = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}

_SIZE = re.compile(r"(\d{1,12})(Ki|Mi|Gi|Ti|k|M|G|T)?", re.ASCII)
_BYTES_PER_UNIT = {
    None: 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}

_NONE = Decimal("nan")

CU_STEP = Decimal("0.25")
"""Compute units come in quarters: one is 1 vCPU and 4 GiB of memory."""


def parse_duration_s(text: str) -> float:
    """Seconds of a duration like ``1s``, ``5m``, ``1h30m`` or ``250ms``.

    Raises ValueError that names the value and the units that are allowed.
    """
    # In decimals, so that 1.001s and 1001ms are the same number.
    position, ms = 0, Decimal(0)
    for part in _DURATION_PART.finditer(text):
        if part.start() != position:
            break
        ms += Decimal(part[1]) * _MS_PER_UNIT[part[2]]
        position = part.end()
    if not text or position != len(text):
        raise ValueError(
            f"{brief(text)} is not a duration: write a number with a unit "
            "(ms, s, m, h, d), like 30s or 5m"
        )
    if ms % 1:
        raise ValueError(f"{brief(text)} is finer than a millisecond: write a whole number of ms")
    return float(ms / 1000)


def format_duration(seconds: float) -> str:
    """A duration in its largest units, as :func:`parse_duration_s` reads it back."""
    remaining_ms, parts = round(seconds * 1000), []
    for unit in ("d", "h", "m", "s", "ms"):
        count, remaining_ms = divmod(remaining_ms, _MS_PER_UNIT[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def parse_bytes(text: str) -> int:
    """Bytes of a Kubernetes quantity like ``512Mi`` or ``10Gi``.

    Raises ValueError that names the value and the units that are allowed.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{brief(text)} is not a size: write a whole number with a unit "
            "(Ki, Mi, Gi, Ti, k, M, G, T), like 10Gi"
        )
    return int(found[1]) * _BYTES_PER_UNIT[found[2]]


def parse_cu(value: object) -> Decimal:
    """Compute units: a non-negative multiple of 0.25.

    Raises ValueError that names the value and what is allowed.
    """
    try:
        units = Decimal(str(value)) if isinstance(value, str | int | float | Decimal) else _NONE
        is_multiple = units.is_finite() and units >= 0 and units % CU_STEP == 0
    except InvalidOperation:
        is_multiple = False
    if isinstance(value, bool) or not is_multiple:
        raise ValueError(
            f"{brief(value)} is not a number of compute units: write a multiple of 0.25, like 0.5"
        )
    return units
