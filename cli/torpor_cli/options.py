"""Options that several verbs have, and the place that they name."""

from __future__ import annotations

import functools
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any

import click

from torpor_cli.local.state_folder import StateFolder, default_root
from torpor_cli.place import Place

Verb = Callable[..., None]

PLUGIN = "kubectl torpor"
"""The name of the command as kubectl's plugin: then a cluster is meant, whatever the options."""


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

name_argument = click.argument("name")

json_option = click.option(
    "-o", "--output", type=click.Choice(["json"]), help="Print JSON instead of text."
)

file_option = click.option(
    "-f",
    "--file",
    "files",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    metavar="FILE",
    help="ServerlessDatabase YAML; may be given several times; - is standard input.",
)


class Price(click.FloatRange):
    """A number from 0 on, up to ``most``; neither NaN nor infinity is one."""

    def __init__(self, most: float | None = None) -> None:
        super().__init__(0, most)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        price = super().convert(value, param, ctx)
        if not isfinite(price):
            self.fail(f"{value} is not in the range {self._describe_range()}", param, ctx)
        return price


CLUSTER_OPTIONS = ("context", "kubeconfig", "namespace")


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
    """The verb gets its ``place``, and a ``name`` as that place understands it.

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
        place = _place(ctx, folder, {option: given.pop(option) for option in CLUSTER_OPTIONS})
        if given.get("name") is not None:
            given["name"] = place.named(given["name"])
        verb(place=place, **given)

    return state_option(cluster_options(run, spellings=spellings, hidden=True))


def asked_of_cluster(ctx: click.Context) -> bool:
    """Whether the command's own options name a cluster, or it is kubectl's plugin."""
    root = ctx.find_root()
    given = any(root.params.get(option) for option in CLUSTER_OPTIONS)
    return given or root.info_name == PLUGIN


def _place(ctx: click.Context, folder: StateFolder, given: dict[str, Any]) -> Place:
    root = ctx.find_root()
    chosen = {option: given[option] or root.params.get(option) for option in CLUSTER_OPTIONS}
    if not (any(given.values()) or asked_of_cluster(ctx)):
        from torpor_cli.local.machine import OnMachine

        return OnMachine(folder)
    if ctx.get_parameter_source("folder") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--state names a folder of this machine: not with a cluster")
    try:
        from torpor_cli.kubernetes.cluster import on_cluster
    except ImportError as missing:
        raise click.UsageError(
            f"for a cluster there has to be {missing.name}: pip install 'torpor[cli,kube]'"
        ) from None
    return on_cluster(**chosen)
