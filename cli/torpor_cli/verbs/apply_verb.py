"""`torpor apply`: declare databases or change them."""

from __future__ import annotations

from pathlib import Path

import click

from torpor_cli.options import file_option, on_place
from torpor_cli.place import Place


@click.command("apply")
@file_option
@on_place
def command(files: tuple[Path, ...], place: Place) -> None:
    """Create or change the databases of a YAML file."""
    from torpor_api.failures import Failure, NotFound
    from torpor_cli.client import SLOW_SECONDS_MAX
    from torpor_cli.files import document_of, read_manifests

    if not files:
        raise click.UsageError("name at least one file with -f FILE")
    for resource in map(place.meant, read_manifests(files)):
        try:
            before = place.ask_cluster("GetResource", name=resource.name)["resource"]
        except NotFound:
            before = None
        after = place.ask_cluster(
            "ApplyResource",
            timeout_s=SLOW_SECONDS_MAX,
            resource=document_of(resource),
        )["resource"]
        click.echo(f"{resource.name} {_outcome(before, after)}")
        try:
            # Whoever connects next shall find what was just applied.
            generation = after["metadata"]["generation"]
            place.ask_autoscaler("AwaitKnown", name=resource.name, generation=generation)
        except Failure as failure:
            click.echo(f"{resource.name} counts a little later: {failure.message}", err=True)


def _outcome(
    before: dict[str, dict[str, object]] | None, after: dict[str, dict[str, object]]
) -> str:
    if before is None:
        return "created"
    if before["metadata"]["generation"] != after["metadata"]["generation"]:
        return "changed"
    return "unchanged"
