"""`torpor delete`: forget a database, and with ``--data`` what is stored in it."""

from __future__ import annotations

import contextlib
import sys

import click

from torpor_api.failures import NotFound
from torpor_cli.client import SLOW_SECONDS_MAX, Json
from torpor_cli.options import name_argument, on_place
from torpor_cli.place import NotAllowed, Place


@click.command("delete")
@name_argument
@click.option("--data", is_flag=True, help="Delete the stored data too; there is no way back.")
@click.option("--yes", is_flag=True, help="Don't ask, on a terminal either.")
@on_place
def command(name: str, data: bool, yes: bool, place: Place) -> None:
    """Delete a database; its data is kept unless --data or its deletionPolicy says otherwise."""
    resource = _resource(place, name)
    data = data or (resource is not None and resource["spec"]["deletionPolicy"] == "Delete")
    if not yes and sys.stdin.isatty():
        what = "and ALL ITS DATA" if data else "and keep its data"
        click.confirm(f"Delete {name} {what}?", abort=True)
    if resource is not None and resource["status"]["phase"] not in ("Suspended", "Failed"):
        # Who may delete the resource need not be allowed to ask: the operator asks for him then.
        with contextlib.suppress(NotAllowed):
            place.ask_autoscaler("Suspend", name=name)
    place.ask_cluster("DeleteResource", timeout_s=SLOW_SECONDS_MAX, name=name, data=data)
    if data:
        click.echo(f"{name} is deleted, and all its data")
    else:
        click.echo(f"{name} is deleted; {place.told_of_kept_data(name)}")


def _resource(place: Place, name: str) -> Json | None:
    try:
        found: Json = place.ask_cluster("GetResource", name=name)["resource"]
    except NotFound:
        return None  # Data that was kept when its resource was deleted.
    return found
