"""`torpor suspend`: to sleep now, whatever the idle time."""

from __future__ import annotations

import click

from torpor_cli.acting import Outcome, confirm, databases_meant, on_each, show
from torpor_cli.options import json_option, node_argument, on_place, yes_option
from torpor_cli.output import count
from torpor_cli.place import Place
from torpor_cli.tree.node import Kind, Node


@click.command("suspend")
@node_argument
@yes_option
@json_option
@on_place
def command(node: Node, yes: bool, output: str | None, place: Place) -> None:
    """Put a database to sleep now; of a pool each one that is awake.

    Its sessions stay connected. A compute is put to sleep with the database that it serves.

    \b
      torpor suspend shop
      torpor suspend compute/4f1c22d09ab3
      torpor suspend pool/default --yes
    """
    names = databases_meant(place, "suspend", node, lambda row: bool(row["phase"] != "Suspended"))
    if node.kind is Kind.POOL:
        confirm(f"Suspend what is awake of {node} ({count(len(names), 'database')})?", yes)

    def suspend(name: str) -> Outcome:
        place.ask_autoscaler("Suspend", name=name)
        return Outcome(Node(Kind.DATABASE, name), "suspended", f"{name} is suspended")

    show(on_each(names, suspend), output)
