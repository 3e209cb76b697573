"""`torpor decisions`: what was decided about a database, when, and by which figure."""

from __future__ import annotations

import json

import click

from torpor_cli.client import QUICK_SECONDS_MAX
from torpor_cli.options import json_option, name_argument, on_place
from torpor_cli.output import decision_table
from torpor_cli.place import Place


@click.command("decisions")
@name_argument
@json_option
@on_place
def command(name: str, output: str | None, place: Place) -> None:
    """Show the last 100 decisions about a database, the newest last.

    When it was woken and by whom, why it stayed awake and went to sleep, and what was chosen for
    it, each with the figure that decided. An autoscaler that has started anew begins with those
    that held then.

    \b
      torpor decisions shop
      torpor decisions shop -o json
    """
    told = place.ask_autoscaler("AskDecisions", timeout_s=QUICK_SECONDS_MAX, name=name)
    if output == "json":
        click.echo(json.dumps(told, indent=2))
    elif told["decisions"]:
        click.echo(decision_table(told["decisions"]))
    else:
        click.echo(f"nothing has been decided about {name} since the autoscaler started")
