"""`torpor why`: why a node is as it is: a database awake, a compute there, a session pinned."""

from __future__ import annotations

import json

import click

from torpor_cli.client import QUICK_SECONDS_MAX, Json
from torpor_cli.options import json_option, node_argument, on_place
from torpor_cli.output import printable, reason_list
from torpor_cli.place import Place
from torpor_cli.tree import words
from torpor_cli.tree.fleet import compute_named, pool_named, session_named
from torpor_cli.tree.node import Kind, Node


@click.command("why")
@node_argument
@json_option
@on_place
def command(node: Node, output: str | None, place: Place) -> None:
    """Say why a database is awake, or why it can't wake, and what holds of what was decided.

    Of a compute: whom it serves, and why that one is awake. Of a pool: why so many computes wait in
    it. Of a session: where it stands, and what keeps it from being parked.

    \b
      torpor why shop
      torpor why pool/default
      torpor why session/17
    """
    told, lines = _asked(place, node)
    click.echo(json.dumps(told, indent=2) if output == "json" else "\n".join(lines))


def _asked(place: Place, node: Node) -> tuple[Json, list[str]]:
    match node.kind:
        case Kind.DATABASE | Kind.VOLUME:
            told = _of_database(place, node.name)
            return told, [reason_list(told)]
        case Kind.COMPUTE:
            row = compute_named(place, node.name)
            line = f"{node} is {words.of_compute(row)}"
            if not row["database"]:
                return {"compute": row}, [line, f"  it waits in pool/{row['pool'] or 'default'}"]
            told = _of_database(place, row["database"])
            return {"compute": row, **told}, [f"{line}, and serves:", reason_list(told)]
        case Kind.POOL:
            row = pool_named(place, node.name)
            why = row["why"] or "nothing was decided about its size yet"
            return row, [f"{node} has {words.of_pool(row)}", f"  {printable(why)}"]
        case Kind.SESSION:
            session = session_named(place, node.name)
            line = f"{node} of {session['database']} is {words.of_session(session)}"
            return session, [line, f"  {_of_standing(session)}"]


def _of_database(place: Place, name: str) -> Json:
    return place.ask_autoscaler("Why", timeout_s=QUICK_SECONDS_MAX, name=name)


def _of_standing(session: Json) -> str:
    """What that means for its database."""
    match session["state"]:
        case "pinned":
            return "it can't be parked, so its database stays awake"
        case "waiting":
            return "it waits for its database to wake, or for a connection to it"
        case "parked":
            return "it has no compute and needs none until its client sends a query"
    if session["reason"]:
        return "it is at work, and its database stays awake for as long"
    return "it can be parked when its database falls asleep"
