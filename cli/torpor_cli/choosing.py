"""Which place a command line means: this machine, or the cluster that one of its options names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from torpor_cli.local.state_folder import StateFolder, default_root
from torpor_cli.place import Place

PLUGIN = "kubectl torpor"
"""The name of the command as kubectl's plugin: then a cluster is meant, whatever the options."""

CLUSTER_OPTIONS = ("context", "kubeconfig", "namespace")
"""Of the command and of each verb: kubectl takes no options before the name of a plugin."""


def asked_of_cluster(ctx: click.Context) -> bool:
    """Whether the command's own options name a cluster, or it is kubectl's plugin."""
    root = ctx.find_root()
    given = any(root.params.get(option) for option in CLUSTER_OPTIONS)
    return given or root.info_name == PLUGIN


def place_of(ctx: click.Context, folder: StateFolder, given: Mapping[str, Any]) -> Place:
    """``given``: the verb's own options. Raises UsageError and the Failures of a kubeconfig."""
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


def place_while_typing(ctx: click.Context) -> Place:
    """Of a command line that is still being typed. Raises whatever is wrong with it."""
    given = {option: ctx.params.get(option) for option in CLUSTER_OPTIONS}
    folder = ctx.params.get("folder") or StateFolder(default_root().absolute())
    return place_of(ctx, folder, given)
