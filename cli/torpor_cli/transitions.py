"""Asks for transitions; where the autoscaler has begun anew since, a database's own record."""

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
    """The one that is meant; of one that woke before this autoscaler, as its record has it."""
    told = place.ask_autoscaler("AskTransitions", timeout_s=QUICK_SECONDS_MAX, **asks)
    found: list[Json] = told["transitions"]
    if found or asks["kinds"] not in ((), ("resume",)) or asks["within_s"] is not None:
        return found
    resource = place.ask_cluster("GetResource", name=asks["database"])["resource"]
    chain = resource["status"].get("lastResume")
    return [] if chain is None else [_recorded(asks["database"], resource["status"], chain)]


def none_known(asks: dict[str, Any]) -> NotFound:
    """Of what was asked for, in its words."""
    kinds, when = (
        " or ".join(asks["kinds"]),
        "" if asks["within_s"] is None else " within that time",
    )
    return NotFound(
        f"no {kinds or 'transition'} of {asks['database']} is known{when}",
        hint="they are kept as long as the autoscaler runs",
    )


def _recorded(database: str, status: Json, chain: Json) -> Json:
    """Its steps follow each other: a record has no tree."""
    spans, passed_ms = [], 0.0
    for step in chain["steps"]:
        spans.append({**step, "begin_ms": passed_ms, "slack_ms": 0.0, "depth": 0})
        passed_ms += step["ms"]
    return {
        "database": database,
        "kind": "resume",
        "at": chain["at"],
        "epoch": status["epoch"],
        "compute": status.get("compute") or "",
        "cause": chain["cause"],
        "total_ms": chain.get("totalMs", chain.get("total_ms")),
        "failure": "",
        "spans": spans,
    }
