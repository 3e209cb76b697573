"""`torpor resume`: awake now, before anybody asks."""

from __future__ import annotations

import click

from torpor_cli.options import name_argument, on_place
from torpor_cli.place import Place


@click.command("resume")
@name_argument
@on_place
def command(name: str, place: Place) -> None:
    """Wake a database now."""
    answer = place.ask_autoscaler("Wake", name=name, cause="torpor resume")
    spent_ms = sum(step["ms"] for step in answer["steps"])
    click.echo(f"{name} is awake" + (f" after {spent_ms:.0f} ms" if spent_ms else ""))
