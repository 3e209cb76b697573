"""Durations and sizes as people write them in resources: ``90s``, ``5m``, ``10Gi``, ``0.25``."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_SECONDS_PER_UNIT = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}

_SIZE = re.compile(r"(\d+)(Ki|Mi|Gi|Ti|k|M|G|T)?")
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

CU_STEP = Decimal("0.25")
"""Compute units come in quarters: one is 1 vCPU and 4 GiB of memory."""


def parse_duration_s(text: str) -> float:
    """Seconds of a duration like ``1s``, ``5m``, ``1h30m`` or ``250ms``.

    Raises ValueError that names the value and the units that are allowed.
    """
    position, seconds = 0, 0.0
    for part in _DURATION_PART.finditer(text):
        if part.start() != position:
            break
        seconds += float(part[1]) * _SECONDS_PER_UNIT[part[2]]
        position = part.end()
    if not text or position != len(text):
        raise ValueError(
            f"{text!r} is not a duration: write a number with a unit "
            "(ms, s, m, h, d), like 30s or 5m"
        )
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest spelling of a duration that :func:`parse_duration_s` reads back."""
    if seconds != int(seconds):
        return f"{round(seconds * 1000)}ms"
    remaining, parts = int(seconds), []
    for unit in ("d", "h", "m", "s"):
        count, remaining = divmod(remaining, int(_SECONDS_PER_UNIT[unit]))
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
            f"{text!r} is not a size: write a whole number with a unit "
            "(Ki, Mi, Gi, Ti, k, M, G, T), like 10Gi"
        )
    return int(found[1]) * _BYTES_PER_UNIT[found[2]]


def parse_cu(value: object) -> Decimal:
    """Compute units: a non-negative multiple of 0.25.

    Raises ValueError that names the value and what is allowed.
    """
    try:
        units = Decimal(str(value))
        is_multiple = units.is_finite() and units >= 0 and units % CU_STEP == 0
    except InvalidOperation:
        is_multiple = False
    if isinstance(value, bool) or not is_multiple:
        raise ValueError(
            f"{value!r} is not a number of compute units: write a multiple of 0.25, like 0.5"
        )
    return units
