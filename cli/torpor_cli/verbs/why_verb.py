"""`torpor why`: why a database is awake, or why it can't wake."""

from __future__ import annotations

import click

from torpor_cli.client import QUICK_SECONDS_MAX
from torpor_cli.options import name_argument, on_place
from torpor_cli.output import reason_list
from torpor_cli.place import Place


@click.command("why")
@name_argument
@on_place
def command(name: str, place: Place) -> None:
    """Say why a database is awake, or why it can't wake, and what holds of what was decided."""
    answer = place.ask_autoscaler("Why", timeout_s=QUICK_SECONDS_MAX, name=name)
    click.echo(reason_list(answer))
