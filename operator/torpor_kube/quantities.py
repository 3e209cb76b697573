"""Quantities of CPU and memory as the API server writes them. Pure."""

from __future__ import annotations

from decimal import ROUND_CEILING, Decimal, InvalidOperation

_FACTORS = {
    "m": Decimal("0.001"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "Ki": Decimal(2**10),
    "Mi": Decimal(2**20),
    "Gi": Decimal(2**30),
    "Ti": Decimal(2**40),
}


def milli_of(quantity: object) -> int | None:
    """Thousandths, rounded up as the API server does; None where it is no quantity."""
    return _scaled(quantity, Decimal(1000))


def whole_of(quantity: object) -> int | None:
    """Whole ones, rounded up; None where it is no quantity."""
    return _scaled(quantity, Decimal(1))


def _scaled(quantity: object, scale: Decimal) -> int | None:
    text = str(quantity)
    suffix = next((s for s in ("Ki", "Mi", "Gi", "Ti", *_FACTORS) if text.endswith(s)), "")
    try:
        number = Decimal(text.removesuffix(suffix)) * _FACTORS.get(suffix, Decimal(1)) * scale
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    return int(number.to_integral_value(ROUND_CEILING))
