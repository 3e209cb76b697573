"""`torpor status`: everything about one database."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import click

from torpor_cli.client import ask_cluster
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.options import json_option, name_argument, state_option
from torpor_cli.output import as_kubernetes_holds, resource_story


@click.command("status")
@name_argument
@json_option
@state_option
def command(name: str, output: str | None, folder: StateFolder) -> None:
    """Show one database."""
    resource = ask_cluster(folder, "GetResource", name=name)["resource"]
    if output == "json":
        click.echo(json.dumps(as_kubernetes_holds(resource), indent=2))
    else:
        click.echo(resource_story(resource, datetime.now(UTC)))
