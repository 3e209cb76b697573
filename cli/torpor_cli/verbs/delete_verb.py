"""`torpor delete`: forget a database, and with ``--data`` what is stored in it."""

from __future__ import annotations

import sys

import click

from torpor_api.failures import NotFound
from torpor_cli.client import SLOW_SECONDS_MAX, Json, ask_autoscaler, ask_cluster
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.options import flag_for, name_argument, state_option


@click.command("delete")
@name_argument
@click.option("--data", is_flag=True, help="Delete the stored data too; there is no way back.")
@click.option("--yes", is_flag=True, help="Don't ask, on a terminal either.")
@state_option
def command(name: str, data: bool, yes: bool, folder: StateFolder) -> None:
    """Delete a database; its data is kept unless --data or its deletionPolicy says otherwise."""
    resource = _resource(folder, name)
    data = data or (resource is not None and resource["spec"]["deletionPolicy"] == "Delete")
    if not yes and sys.stdin.isatty():
        what = "and ALL ITS DATA" if data else "and keep its data"
        click.confirm(f"Delete {name} {what}?", abort=True)
    if resource is not None and resource["status"]["phase"] not in ("Suspended", "Failed"):
        ask_autoscaler(folder, "Suspend", name=name)
    ask_cluster(folder, "DeleteResource", timeout_s=SLOW_SECONDS_MAX, name=name, data=data)
    if data:
        click.echo(f"{name} is deleted, and all its data")
    else:
        click.echo(f"{name} is deleted; its data is kept in {folder.databases / name}")
        click.echo(
            "apply it again to bring it back, or remove the data too: "
            f"torpor delete {name} --data{flag_for(folder)}"
        )


def _resource(folder: StateFolder, name: str) -> Json | None:
    try:
        found: Json = ask_cluster(folder, "GetResource", name=name)["resource"]
    except NotFound:
        return None  # Data that was kept when its resource was deleted.
    return found
