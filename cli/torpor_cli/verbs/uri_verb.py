"""`torpor uri`: what a client connects with, password included."""

from __future__ import annotations

import click

from torpor_cli.options import name_argument, on_place
from torpor_cli.place import Place


@click.command("uri")
@name_argument
@click.option("--role", metavar="ROLE", help="As whom.  [default: the database's owner]")
@click.option("--database", metavar="DATABASE", help="Which.  [default: the first declared]")
@on_place
def command(name: str, role: str | None, database: str | None, place: Place) -> None:
    """Print the connection URI of a database, with the password."""
    click.echo(place.connection(name, role, database).uri)
