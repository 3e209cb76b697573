"""`torpor why`: why a database is awake, or why it can't wake."""

from __future__ import annotations

import click

from torpor_cli.client import QUICK_SECONDS_MAX, ask_autoscaler
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.options import name_argument, state_option


@click.command("why")
@name_argument
@state_option
def command(name: str, folder: StateFolder) -> None:
    """Say why a database is awake, or why it can't wake."""
    answer = ask_autoscaler(folder, "Why", timeout_s=QUICK_SECONDS_MAX, name=name)
    click.echo(f"{name} is {answer['phase']}")
    for reason in answer["reasons"]:
        click.echo(f"  {reason}")
