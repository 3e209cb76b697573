"""`torpor psql`: Postgres's own client, connected."""

from __future__ import annotations

import os

import click

from torpor_cli.local.state_folder import StateFolder
from torpor_cli.options import name_argument, state_option
from torpor_cli.uri import connection_to


@click.command("psql", context_settings={"ignore_unknown_options": True})
@name_argument
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@state_option
def command(name: str, args: tuple[str, ...], folder: StateFolder) -> None:
    """Open psql on a database; ARGS are psql's, like -c 'SELECT 1'."""
    from torpor_cli.local.postgres_binaries import installed

    environment = connection_to(folder, name).environment()
    own = os.environ.get("PGOPTIONS")
    if own:
        environment["PGOPTIONS"] += f" {own}"
    program = installed().program("psql")
    os.execve(program, [program, *args], {**os.environ, **environment})
