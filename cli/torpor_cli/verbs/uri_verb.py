"""`torpor uri`: what a client connects with, password included."""

from __future__ import annotations

import click

from torpor_cli.local.state_folder import StateFolder
from torpor_cli.options import name_argument, state_option
from torpor_cli.uri import connection_to


@click.command("uri")
@name_argument
@click.option("--role", metavar="ROLE", help="As whom.  [default: the database's owner]")
@click.option("--database", metavar="DATABASE", help="Which.  [default: the first declared]")
@state_option
def command(name: str, role: str | None, database: str | None, folder: StateFolder) -> None:
    """Print the connection URI of a database, with the password."""
    click.echo(connection_to(folder, name, role, database).uri)
