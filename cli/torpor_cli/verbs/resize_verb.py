"""`torpor resize`: another size for a database that is awake, under its sessions."""

from __future__ import annotations

import json

import click

from torpor_cli.options import json_option, name_argument, on_place
from torpor_cli.place import Place
from torpor_cli.progress import progress


def _units(_: click.Context, __: click.Parameter, value: str) -> str:
    from torpor_api.quantities import parse_cu

    try:
        return f"{parse_cu(value).normalize():f}"
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("resize")
@name_argument
@click.argument("cu", metavar="CU", callback=_units)
@json_option
@on_place
def command(name: str, cu: str, output: str | None, place: Place) -> None:
    """Give an awake database another size, in compute units.

    A unit is 1 vCPU and 4 GiB of memory. The size must be within minCU and maxCU of its spec; it
    holds until the database next sleeps, or until another one is chosen. Nobody's session ends.

    \b
      torpor resize shop 2
      torpor resize compute/4f1c22d09ab3 0.5
    """
    with progress(f"resizing {name} to {cu} CU"):
        resized = place.ask_autoscaler("Resize", name=name, cu=cu)
    if output == "json":
        click.echo(json.dumps(resized, indent=2))
        return
    pause_ms = resized["pause_ms"]
    how = "" if pause_ms is None else f" by a switchover: clients waited at most {pause_ms:.0f} ms"
    click.echo(f"{name} has {cu} CU{how}")
    for setting in resized["needs_restart"]:
        click.echo(f"until its next compute {setting}")
