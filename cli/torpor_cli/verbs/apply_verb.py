"""`torpor apply`: declare databases or change them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from torpor_cli.acting import Outcome, show
from torpor_cli.options import file_option, json_option, on_place
from torpor_cli.place import Place
from torpor_cli.tree.node import Kind, Node

if TYPE_CHECKING:  # It takes longer to import than most verbs do.
    from torpor_api.resource import ServerlessDatabase


@click.command("apply")
@file_option
@json_option
@on_place
def command(files: tuple[Path, ...], output: str | None, place: Place) -> None:
    """Create or change the databases of a YAML file.

    \b
      torpor apply -f db.yaml
      torpor get shop -o yaml | sed 's/maxCU: 1/maxCU: 2/' | torpor apply -f -
    """
    from torpor_cli.files import read_manifests

    if not files:
        raise click.UsageError("name at least one file with -f FILE")
    resources = map(place.meant, read_manifests(files))
    show((_apply(place, resource) for resource in resources), output)


def _apply(place: Place, resource: ServerlessDatabase) -> Outcome:
    from torpor_api.failures import Failure, NotFound
    from torpor_cli.client import SLOW_SECONDS_MAX
    from torpor_cli.files import document_of

    try:
        before = place.ask_cluster("GetResource", name=resource.name)["resource"]
    except NotFound:
        before = None
    document = document_of(resource)
    asked: dict[str, Any] = {"timeout_s": SLOW_SECONDS_MAX, "resource": document}
    after = place.ask_cluster("ApplyResource", **asked)["resource"]
    outcome = _outcome(before, after)
    try:
        # Whoever connects next shall find what was just applied.
        generation = after["metadata"]["generation"]
        place.ask_autoscaler("AwaitKnown", name=resource.name, generation=generation)
    except Failure as failure:
        click.echo(f"{resource.name} counts a little later: {failure.message}", err=True)
    return Outcome(Node(Kind.DATABASE, resource.name), outcome, f"{resource.name} {outcome}")


def _outcome(
    before: dict[str, dict[str, object]] | None, after: dict[str, dict[str, object]]
) -> str:
    if before is None:
        return "created"
    if before["metadata"]["generation"] != after["metadata"]["generation"]:
        return "changed"
    return "unchanged"
