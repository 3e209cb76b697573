"""`torpor sessions`: who is connected to a database, doing what, and what keeps it awake."""

from __future__ import annotations

import json

import click

from torpor_cli.client import QUICK_SECONDS_MAX
from torpor_cli.options import name_argument, on_place
from torpor_cli.output import session_table
from torpor_cli.place import Place

SHOWN_MAX = 1000
"""More lines than anybody reads; those that keep the database awake come first."""

LISTED_MAX = 20_000
"""For programs: as many sessions as a proxy holds."""


@click.command("sessions")
@name_argument
@click.option(
    "-o", "--output", type=click.Choice(["json", "wide"]), help="Print JSON, or more columns."
)
@on_place
def command(name: str, output: str | None, place: Place) -> None:
    """Show the sessions of a database, those first that keep it awake.

    \b
      torpor sessions shop
      torpor sessions shop -o wide
    """
    limit = LISTED_MAX if output == "json" else SHOWN_MAX
    told = place.ask_autoscaler("Sessions", timeout_s=QUICK_SECONDS_MAX, name=name, limit=limit)
    for proxy in told["missing"]:
        click.echo(f"{proxy} did not answer: its sessions are not shown", err=True)
    if output == "json":
        click.echo(json.dumps(told, indent=2))
    elif told["sessions"]:
        click.echo(session_table(told["sessions"], is_wide=output == "wide"))
        hidden = told["total"] - len(told["sessions"])
        if hidden > 0:
            click.echo(f"and {hidden} more")
    else:
        click.echo(f"nobody is connected to {name}")
