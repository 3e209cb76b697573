"""`torpor suspend`: to sleep now, whatever the idle time."""

from __future__ import annotations

import click

from torpor_cli.client import ask_autoscaler
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.options import name_argument, state_option


@click.command("suspend")
@name_argument
@state_option
def command(name: str, folder: StateFolder) -> None:
    """Put a database to sleep now."""
    ask_autoscaler(folder, "Suspend", name=name)
    click.echo(f"{name} is suspended")
