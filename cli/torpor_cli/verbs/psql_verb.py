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
    """Open psql on a database; ARGS are psql's, like -c 'SELECT 1'."""
    sys.exit(place.psql(name, args))
