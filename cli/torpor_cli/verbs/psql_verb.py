"""`torpor psql`: Postgres's own client, connected."""

from __future__ import annotations

import sys

import click

from torpor_cli.options import name_argument, on_place_with_arguments
from torpor_cli.place import Place


@click.command("psql", context_settings={"ignore_unknown_options": True})
@name_argument
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@on_place_with_arguments
def command(name: str, args: tuple[str, ...], place: Place) -> None:
    """Open psql on a database, which it wakes; ARGS are psql's own.

    Of a compute, a volume or a session it is their database; the name torpor is the operator
    console. The exit code is psql's.

    \b
      torpor psql shop
      torpor psql shop -c 'SELECT 1'
      torpor psql session/17
      torpor psql torpor -c 'SHOW DATABASES'
    """
    sys.exit(place.psql(name, args))
