"""`torpor resume`: awake now, before anybody asks."""

from __future__ import annotations

import click

from torpor_cli.acting import Outcome, confirm, databases_meant, on_each, show
from torpor_cli.client import Json
from torpor_cli.options import json_option, node_argument, on_place, yes_option
from torpor_cli.output import count
from torpor_cli.place import Place
from torpor_cli.tree.node import Kind, Node


@click.command("resume")
@node_argument
@yes_option
@json_option
@on_place
def command(node: Node, yes: bool, output: str | None, place: Place) -> None:
    """Wake a database now; of a pool each one that sleeps, one after the other.

    \b
      torpor resume shop
      torpor resume pool/default --yes
    """
    names = databases_meant(place, "resume", node, lambda row: bool(row["phase"] == "Suspended"))
    if node.kind is Kind.POOL:
        confirm(f"Wake what sleeps of {node} ({count(len(names), 'database')})?", yes)

    def resume(name: str) -> Outcome:
        answer = place.ask_autoscaler("Wake", name=name, cause="torpor resume")
        return Outcome(Node(Kind.DATABASE, name), "awake", f"{name} {_became(answer)}")

    show(on_each(names, resume), output)


def _became(answer: Json) -> str:
    if answer.get("was_awake"):  # An autoscaler of the release before does not tell.
        return "was awake already"
    spent_ms = sum(step["ms"] for step in answer["steps"])
    return f"is awake after {spent_ms:.0f} ms" if spent_ms else "is awake"
