"""`torpor tree`: what there is, and what depends on what."""

from __future__ import annotations

import json
import sys

import click

from torpor_api.failures import NotFound
from torpor_cli.completion import complete_node
from torpor_cli.hints import here
from torpor_cli.options import json_option, on_place
from torpor_cli.place import Place
from torpor_cli.tree import fleet
from torpor_cli.tree.forest import Branch, cut, forest, path_to, session_node
from torpor_cli.tree.node import Kind, Node, parse_session
from torpor_cli.tree.text import ASCII, as_json, lines, strokes_for

EACH_DEFAULT = 20
"""Databases, computes and sessions under one other: more than fit on a screen."""

EACH_MAX = 100_000


@click.command("tree")
@click.argument("node", required=False, shell_complete=complete_node)
@click.option("--depth", type=click.IntRange(1), metavar="N", help="Only so many levels.")
@click.option(
    "--limit",
    "each",
    type=click.IntRange(0, EACH_MAX),
    metavar="N",
    help="Show so many of each sort under one node; 0: all.  "
    f"[default: {EACH_DEFAULT}, and all in JSON]",
)
@click.option("--ascii", "is_ascii", is_flag=True, help="Draw with | and - alone.")
@json_option
@on_place
def command(
    node: Node | None,
    depth: int | None,
    each: int | None,
    is_ascii: bool,
    output: str | None,
    place: Place,
) -> None:
    """Show pools, computes, databases, sessions and volumes as a tree.

    What a node depends on is above it: a session's database, the compute that serves that, the pool
    that it is from. With NODE only that one, what it depends on and what depends on it.

    \b
      torpor tree
      torpor tree shop
      torpor tree compute/4f1c22d09ab3 --depth 3
      torpor tree -o json
    """
    if each is None:
        each = 0 if output == "json" or node is not None else EACH_DEFAULT
    roots = _grown(place, node, each, depth or 0)
    if output == "json":
        click.echo(json.dumps({"nodes": [as_json(root) for root in roots]}, indent=2))
        return
    strokes = ASCII if is_ascii else strokes_for(sys.stdout.encoding)
    for line in lines(roots, strokes):
        click.echo(line)
    if not roots:
        click.echo(here("nothing is here yet: declare one with `torpor apply -f FILE`", place))


def _grown(place: Place, node: Node | None, each_max: int, depth: int) -> tuple[Branch, ...]:
    sessions = fleet.SESSIONS_SHOWN_MAX if each_max else fleet.SESSIONS_MAX
    if node is None or node.kind is Kind.POOL:
        seen = fleet.whole(place, sessions=sessions)
    elif node.kind is Kind.COMPUTE and not fleet.compute_named(place, node.name)["database"]:
        seen = fleet.whole(place, sessions=0)
    else:
        seen = fleet.around(place, fleet.database_of(place, node), sessions=sessions)
    for proxy in seen.missing:
        click.echo(f"{proxy} did not answer: its sessions are not shown", err=True)
    roots = forest(seen, each_max)
    if node is not None:
        found = path_to(roots, _as_shown(node, seen))
        if not found:
            raise NotFound(f"there is no {node}", hint="`torpor tree` shows what there is")
        roots = found
    return tuple(cut(root, depth) for root in roots) if depth else roots


def _as_shown(node: Node, seen: fleet.Fleet) -> Node:
    """A session may be named with its proxy where there is but one, and without it."""
    if node.kind is not Kind.SESSION:
        return node
    wanted = parse_session(node.name)
    for session in seen.sessions:
        if session["session"] == wanted.number and wanted.proxy in ("", session["proxy"]):
            return session_node(session, seen.proxies)
    return node
