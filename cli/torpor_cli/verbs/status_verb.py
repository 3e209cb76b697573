"""`torpor status`: everything about one database."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from torpor_cli.options import json_option, name_argument, on_place
from torpor_cli.output import as_kubernetes_holds, resource_story
from torpor_cli.place import Place


@click.command("status")
@name_argument
@json_option
@on_place
def command(name: str, output: str | None, place: Place) -> None:
    """Show everything about one database.

    \b
      torpor status shop
      torpor status shop -o json
    """
    resource = place.ask_cluster("GetResource", name=name)["resource"]
    if output == "json":
        click.echo(json.dumps(as_kubernetes_holds(resource), indent=2))
    else:
        click.echo(resource_story(resource, datetime.now(UTC)))
