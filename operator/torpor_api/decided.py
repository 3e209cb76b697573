"""What a policy has decided about a database, as its status has it."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field

from torpor_api.values import ApiModel, Line

LOOPS_MAX: Final = 16
"""Policies that decide about one database; there are five."""


class CurrentDecision(ApiModel):
    """What a policy has decided, and by which figure; not what that figure is now."""

    loop: Annotated[str, Field(json_schema_extra={"maxLength": 32})]
    """Which policy."""
    follows: Line
    """What is done because of it."""
    metric: Line
    """What was measured."""
    value: float
    """What it was when that was decided."""
    threshold: float
    """What it was compared with."""
    unit: Annotated[str, Field(json_schema_extra={"maxLength": 32})] = ""
    """Of both; empty for a number of things."""
    window_seconds: float = 0.0
    """Over how long the value was taken; 0: it is of that moment."""
    since: Annotated[str, Field(json_schema_extra={"format": "date-time"})] | None = None
    """When it was decided; the same has followed since."""
