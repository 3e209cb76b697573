"""Asks for transitions."""

from __future__ import annotations

from typing import Any

import click

from torpor_api.failures import NotFound
from torpor_api.quantities import parse_duration_s
from torpor_cli.client import QUICK_SECONDS_MAX, Json
from torpor_cli.place import Place

KINDS = ("resume", "suspend", "switchover", "failover")


def asked(_: click.Context, __: click.Parameter, value: str | None) -> float | None:
    """Seconds of what was given as ``1h``; for an option."""
    if value is None:
        return None
    try:
        return parse_duration_s(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def of_one(place: Place, asks: dict[str, Any]) -> list[Json]:
    """The one that is meant; none where there is none."""
    told = place.ask_autoscaler("AskTransitions", timeout_s=QUICK_SECONDS_MAX, **asks)
    found: list[Json] = told["transitions"]
    return found


def none_known(asks: dict[str, Any]) -> NotFound:
    """Of what was asked for, in its words."""
    kinds, when = (
        " or ".join(asks["kinds"]),
        "" if asks["within_s"] is None else " within that time",
    )
    return NotFound(
        f"no {kinds or 'transition'} of {asks['database']} is known{when}",
        hint="they are kept as long as the autoscaler runs; of what was before, records have the "
        "latest resume and switchover",
    )
