"""`torpor critical-chain`: where the time of the last resume went."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from torpor_cli.client import ask_cluster
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.options import json_option, name_argument, state_option
from torpor_cli.output import chain_table


@click.command("critical-chain")
@name_argument
@json_option
@state_option
def command(name: str, output: str | None, folder: StateFolder) -> None:
    """Show each step of a database's last resume."""
    chain = ask_cluster(folder, "GetResource", name=name)["resource"]["status"].get("lastResume")
    if output == "json":
        click.echo(json.dumps(chain, indent=2))
    else:
        click.echo(chain_table(name, chain, datetime.now(UTC)))
