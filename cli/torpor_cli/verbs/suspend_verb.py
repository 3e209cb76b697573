"""`torpor suspend`: to sleep now, whatever the idle time."""

from __future__ import annotations

import click

from torpor_cli.options import name_argument, on_place
from torpor_cli.place import Place


@click.command("suspend")
@name_argument
@on_place
def command(name: str, place: Place) -> None:
    """Put a database to sleep now."""
    place.ask_autoscaler("Suspend", name=name)
    click.echo(f"{name} is suspended")
