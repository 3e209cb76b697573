"""`torpor critical-chain`: where the time of the last resume went."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from torpor_cli.options import json_option, name_argument, on_place
from torpor_cli.output import chain_table
from torpor_cli.place import Place


@click.command("critical-chain")
@name_argument
@json_option
@on_place
def command(name: str, output: str | None, place: Place) -> None:
    """Show each step of a database's last resume."""
    chain = place.ask_cluster("GetResource", name=name)["resource"]["status"].get("lastResume")
    if output == "json":
        click.echo(json.dumps(chain, indent=2))
    else:
        click.echo(chain_table(name, chain, datetime.now(UTC)))
