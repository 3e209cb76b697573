"""`torpor switchover`: a database in use moves to a fresh compute, with its spec as it is now."""

from __future__ import annotations

import json

import click

from torpor_cli.client import SLOW_SECONDS_MAX
from torpor_cli.options import json_option, name_argument, on_place
from torpor_cli.output import steps_table
from torpor_cli.place import Place
from torpor_cli.progress import progress

PATIENCE_DEFAULT = "10s"
"""Most transactions end within it, and nobody's client gives up before."""

PATIENCE_SECONDS_MAX = 45.0
"""Clients of sessions that are parked first wait for the others, and after a minute they hear an
error: what follows needs the rest of it."""


def _seconds(_: click.Context, __: click.Parameter, value: str) -> float:
    from torpor_api.quantities import parse_duration_s

    try:
        seconds = parse_duration_s(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not 0 < seconds <= PATIENCE_SECONDS_MAX:
        raise click.BadParameter(f"{value} is not between 1ms and {PATIENCE_SECONDS_MAX:g}s")
    return seconds


@click.command("switchover")
@name_argument
@click.option(
    "--patience",
    "patience_s",
    default=PATIENCE_DEFAULT,
    show_default=True,
    metavar="TIME",
    callback=_seconds,
    help="How long sessions that are busy may take to come to rest. The others wait meanwhile.",
)
@json_option
@on_place
def command(name: str, patience_s: float, output: str | None, place: Place) -> None:
    """Move an awake database to a fresh compute; its clients wait for a moment.

    The new compute has the spec as it is now. Where a session can't be parked in time, nothing is
    changed and it is named.

    \b
      torpor switchover shop
      torpor switchover shop --patience 30s
    """
    with progress(f"moving {name} to a fresh compute"):
        timeout_s = patience_s + SLOW_SECONDS_MAX
        moved = place.ask_autoscaler(
            "Switchover", timeout_s=timeout_s, name=name, patience_s=patience_s
        )
    if output == "json":
        click.echo(json.dumps(moved, indent=2))
        return
    click.echo(
        f"{name} moved to compute {moved['compute']}, epoch {moved['epoch']}: "
        f"clients waited at most {moved['pause_ms']:.0f} ms"
    )
    click.echo(f"\n{steps_table(moved['steps'], moved['pause_ms'])}")
