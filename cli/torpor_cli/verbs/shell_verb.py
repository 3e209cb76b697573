"""`torpor shell`: a shell where a compute runs, or in a volume."""

from __future__ import annotations

import sys

import click

from torpor_api.failures import Refused
from torpor_cli.client import Json
from torpor_cli.options import node_argument, on_place_with_arguments
from torpor_cli.place import Place
from torpor_cli.tree.fleet import compute_named, database_of, rows_named
from torpor_cli.tree.getting import volume_named
from torpor_cli.tree.meaning import Acts, meaning
from torpor_cli.tree.node import Kind, Node


@click.command("shell", context_settings={"ignore_unknown_options": True})
@node_argument
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@on_place_with_arguments
def command(node: Node, args: tuple[str, ...], place: Place) -> None:
    """Open a shell in a compute or a volume, or run a command there.

    In the data directory, with psql connected to that compute's own Postgres, past the proxy: for a
    look at what is there. Of a database or a session it is the compute that serves it now. A volume
    is there whether or not its database is awake; nothing in it should be changed. The exit code is
    that of the shell, or of the command.

    \b
      torpor shell shop
      torpor shell compute/4f1c22d09ab3 psql -c 'SHOW shared_buffers'
      torpor shell volume/shop du -sh data
    """
    if node.kind is Kind.VOLUME:
        sys.exit(place.inside.shell_in_volume(volume_named(place, node.name), args))
    compute = _compute_of(place, node)
    if not compute["database"]:
        raise Refused(
            f"compute/{compute['compute']} serves no database: it is {compute['state']}, and there "
            "is nothing in it",
            hint="`torpor get computes` shows which do",
        )
    database = place.ask_cluster("GetResource", name=compute["database"])["resource"]
    sys.exit(place.inside.shell_in_compute(compute, database, args))


def _compute_of(place: Place, node: Node) -> Json:
    """Raises Refused where the database sleeps."""
    if meaning("shell", node) is Acts.ITSELF:
        return compute_named(place, node.name)
    name = database_of(place, node)
    for row in rows_named(place, [name]):
        if row["compute"]:
            return compute_named(place, row["compute"])
    raise Refused(
        f"{name} has no compute: it sleeps",
        hint=f"`torpor resume {name}` wakes it; "
        f"`torpor shell volume/{name}` is in its volume, which needs none",
    )
