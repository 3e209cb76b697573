"""The tests that may differ through Torpor, each with the documented loss that it runs into."""

from __future__ import annotations

from suites.outcomes import Allowed

ALLOWED: tuple[Allowed, ...] = ()
