"""`torpor delete`: forget a database, and with ``--data`` what is stored in it; what is left of one
that was deleted before; or end a session."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable

import click

from torpor_api.failures import NotFound, Refused
from torpor_cli.acting import Outcome, show
from torpor_cli.client import SLOW_SECONDS_MAX, Json
from torpor_cli.options import json_option, node_argument, on_place, yes_option
from torpor_cli.place import NotAllowed, Place
from torpor_cli.tree.fleet import session_named
from torpor_cli.tree.node import Kind, Node

Ask = Callable[[str], None]
"""Whoever sits at the terminal; ends the command where the answer is no."""


@click.command("delete")
@node_argument
@click.option("--data", is_flag=True, help="Delete the stored data too; there is no way back.")
@yes_option
@json_option
@on_place
def command(node: Node, data: bool, yes: bool, output: str | None, place: Place) -> None:
    """Delete a database, the kept data of a deleted one, or a session.

    The data of a database is kept unless --data or its deletionPolicy says otherwise. The client of
    a session that is deleted hears 57P01, and may connect again.

    \b
      torpor delete shop
      torpor delete shop --data
      torpor delete volume/old
      torpor delete session/17
    """

    def ask(question: str) -> None:
        if not yes and sys.stdin.isatty():
            click.confirm(question, abort=True, err=output == "json")

    if node.kind is Kind.SESSION:
        outcome = _end_session(node, place, ask)
    else:
        outcome = _delete_database(node, data, place, ask)
    show([outcome], output)


def _end_session(node: Node, place: Place, ask: Ask) -> Outcome:
    session = session_named(place, node.name)
    who = f"{session['user']} from {session['client']} at {session['database']}"
    ask(f"End {node}, of {who}?")
    place.ask_autoscaler(
        "EndSession", name=session["database"], proxy=session["proxy"], number=session["session"]
    )
    return Outcome(node, "ended", f"{node} of {who} is ended")


def _delete_database(node: Node, data: bool, place: Place, ask: Ask) -> Outcome:
    name, resource = node.name, _resource(place, node.name)
    if node.kind is Kind.VOLUME:
        if resource is not None:
            raise Refused(
                f"{node} has the data of a database that there is",
                hint=f"`torpor delete {name} --data` deletes both",
            )
        data = True
    data = data or (resource is not None and resource["spec"]["deletionPolicy"] == "Delete")
    ask(f"Delete {name} {'and ALL ITS DATA' if data else 'and keep its data'}?")
    if resource is not None and resource["status"]["phase"] not in ("Suspended", "Failed"):
        # Who may delete the resource need not be allowed to ask: the operator asks for him then.
        with contextlib.suppress(NotAllowed):
            place.ask_autoscaler("Suspend", name=name)
    place.ask_cluster("DeleteResource", timeout_s=SLOW_SECONDS_MAX, name=name, data=data)
    rest = "and all its data" if data else place.inside.told_of_kept_data(name)
    return Outcome(node, "deleted", f"{name} is deleted{', ' if data else '; '}{rest}")


def _resource(place: Place, name: str) -> Json | None:
    try:
        found: Json = place.ask_cluster("GetResource", name=name)["resource"]
    except NotFound:
        return None  # Data that was kept when its resource was deleted.
    return found
