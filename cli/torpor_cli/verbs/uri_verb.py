"""`torpor uri`: what a client connects with, password included."""

from __future__ import annotations

import json

import click

from torpor_cli.options import json_option, name_argument, on_place
from torpor_cli.place import Place


@click.command("uri")
@name_argument
@click.option("--role", metavar="ROLE", help="As whom.  [default: the database's owner]")
@click.option("--database", metavar="DATABASE", help="Which.  [default: the first declared]")
@json_option
@on_place
def command(
    name: str, role: str | None, database: str | None, output: str | None, place: Place
) -> None:
    """Print the connection URI of a database, with the password.

    The name torpor is the operator console; --role viewer is one that may only look.

    \b
      torpor uri shop
      psql "$(torpor uri shop --role reader)"
      psql "$(torpor uri torpor)" -c 'SHOW DATABASES'
      torpor uri shop -o json
    """
    connection = place.connection(name, role, database)
    if output != "json":
        click.echo(connection.uri)
        return
    told = {
        "uri": connection.uri,
        "endpoint": connection.endpoint,
        "host": connection.address.host,
        "port": connection.address.port,
        "user": connection.role,
        "password": connection.password,
        "database": connection.database,
    }
    click.echo(json.dumps(told, indent=2))
