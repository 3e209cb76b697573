"""`torpor list`: every database and what it is doing."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from torpor_cli.hints import here
from torpor_cli.options import on_place
from torpor_cli.output import as_kubernetes_holds, resource_table
from torpor_cli.place import Place


@click.command("list")
@click.option(
    "-o", "--output", type=click.Choice(["json", "wide"]), help="Print JSON, or more columns."
)
@on_place
def command(output: str | None, place: Place) -> None:
    """Show all databases: who sleeps, who is awake, and why.

    \b
      torpor list
      torpor list -o json
      torpor list --context production -n team
    """
    resources = place.ask_cluster("ListResources")["resources"]
    if output == "json":
        items = [as_kubernetes_holds(resource) for resource in resources]
        click.echo(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2))
    elif resources:
        click.echo(resource_table(resources, datetime.now(UTC), is_wide=output == "wide"))
    else:
        click.echo(here("no databases yet: declare one with `torpor apply -f FILE`", place))
