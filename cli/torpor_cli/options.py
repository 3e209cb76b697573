"""Options that several verbs have, and the place that they name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import click

from torpor_api.failures import Failure
from torpor_cli.choosing import CLUSTER_OPTIONS, place_of
from torpor_cli.completion import complete_database, complete_node
from torpor_cli.hints import here
from torpor_cli.local.state_folder import StateFolder, default_root
from torpor_cli.place import Place
from torpor_cli.tree.fleet import database_of
from torpor_cli.tree.meaning import meaning
from torpor_cli.tree.node import Kind, Node, parse_node

Verb = Callable[..., None]


def _as_folder(_: click.Context, __: click.Parameter, value: Path | None) -> StateFolder:
    return StateFolder((value or default_root()).absolute())


state_option = click.option(
    "--state",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="TORPOR_STATE",
    callback=_as_folder,
    metavar="DIR",
    help="The state folder of `torpor up`.  [default: /var/lib/torpor for root, else "
    "~/.local/state/torpor]",
)

name_argument = click.argument("name", shell_complete=complete_database)
"""A database: by its name, or by that of a node that belongs to it."""

node_argument = click.argument("node", shell_complete=complete_node)
"""``KIND/NAME``, or the name of a database."""

json_option = click.option(
    "-o", "--output", type=click.Choice(["json"]), help="Print JSON instead of text."
)

yes_option = click.option("--yes", is_flag=True, help="Don't ask, on a terminal either.")

file_option = click.option(
    "-f",
    "--file",
    "files",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    metavar="FILE",
    help="ServerlessDatabase YAML; may be given several times; - is standard input.",
)


class FiniteRange(click.FloatRange):
    """Of numbers; neither NaN, which click lets pass any range, nor infinity is one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not isfinite(number):
            self.fail(f"{value} is not in the range {self._describe_range()}", param, ctx)
        return number


def cluster_options(
    verb: Verb, *, spellings: tuple[str, ...] = ("-n", "--namespace"), hidden: bool = False
) -> Verb:
    """Which cluster, as kubectl's options say it; ``spellings``: of that of the namespace."""
    options = (
        click.option(
            "--context",
            metavar="CONTEXT",
            hidden=hidden,
            help="Ask the cluster of this context of the kubeconfig, not this machine.",
        ),
        click.option(
            "--kubeconfig",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            hidden=hidden,
            help="Where contexts are, if not in kubectl's own: a cluster is meant.",
        ),
        click.option(
            *spellings,
            metavar="NAMESPACE",
            hidden=hidden,
            help="Of names that say none, on a cluster.  [default: the context's]",
        ),
    )
    for option in reversed(options):
        verb = option(verb)
    return verb


def on_place(verb: Verb) -> Verb:
    """The verb gets its ``place``, and ``name`` and ``node`` as that place understands them: a
    ``name`` is that of a database, whichever of its nodes was named. A verb that has no meaning on
    such a node is refused with the one that has.

    kubectl takes no options before the name of a plugin, so each verb has those of the cluster too.
    """
    return _on_place(verb, ("-n", "--namespace"))


def on_place_with_arguments(verb: Verb) -> Verb:
    """Of a verb that hands further options on: -n is one of those."""
    return _on_place(verb, ("--namespace",))


def _on_place(verb: Verb, spellings: tuple[str, ...]) -> Verb:
    @click.pass_context
    @functools.wraps(verb)
    def run(ctx: click.Context, /, folder: StateFolder, **given: Any) -> None:
        place = place_of(ctx, folder, {option: given.pop(option) for option in CLUSTER_OPTIONS})
        verb_name = str(ctx.command.name)
        try:
            if given.get("name") is not None:
                node = meant(place, given["name"])
                meaning(verb_name, node)
                given["name"] = database_of(place, node)
            if given.get("node") is not None:
                given["node"] = meant(place, given["node"])
                meaning(verb_name, given["node"])
            verb(place=place, **given)
        except Failure as failure:
            failure.hint = here(failure.hint, place)
            raise

    return state_option(cluster_options(run, spellings=spellings, hidden=True))


def meant(place: Place, text: str) -> Node:
    """The node that a person means by ``text``. Raises InvalidRequest."""
    node = parse_node(text)
    if node.kind in (Kind.DATABASE, Kind.VOLUME):
        return Node(node.kind, place.named(node.name))
    return node
