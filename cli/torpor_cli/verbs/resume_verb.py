"""`torpor resume`: awake now, before anybody asks."""

from __future__ import annotations

import click

from torpor_cli.client import ask_autoscaler
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.options import name_argument, state_option


@click.command("resume")
@name_argument
@state_option
def command(name: str, folder: StateFolder) -> None:
    """Wake a database now."""
    answer = ask_autoscaler(folder, "Wake", name=name, cause="torpor resume")
    spent_ms = sum(step["ms"] for step in answer["steps"])
    click.echo(f"{name} is awake" + (f" after {spent_ms:.0f} ms" if spent_ms else ""))
