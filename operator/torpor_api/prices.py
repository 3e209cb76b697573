"""What computes cost, and what waiting is worth, against which that is weighed."""

from __future__ import annotations

from typing import Final

WAITING_PRICE: Final = 60.0
"""CU-seconds that a second of a client's waiting is worth. At 12 cents for a CU-hour a minute of
one CU is 0.2 cents: a fifth of a second of a person at 36 dollars an hour, and many clients are
programs."""

WAITING_PRICE_MAX: Final = 1e6
"""Beyond it no database that learns would ever sleep: ``keepAwake`` says that."""

CU_HOUR_PRICE: Final = 0.106
"""Dollars: Neon's Launch plan (https://neon.com/docs/introduction/plans)."""
