"""`torpor critical-chain`: where the time went, of one database or of the slowest of the fleet."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime
from typing import Any

import click

from torpor_cli.client import QUICK_SECONDS_MAX
from torpor_cli.completion import complete_database
from torpor_cli.options import json_option, on_place
from torpor_cli.place import Place
from torpor_cli.transition_text import transition_table, transition_tree
from torpor_cli.transitions import KINDS, asked, none_known, of_one

LAST_MAX = 50
"""As many as the autoscaler keeps of one database."""

SLOWEST_MAX = 1000


@click.command("critical-chain")
@click.argument("name", required=False, shell_complete=complete_database)
@click.option(
    "--last",
    type=click.IntRange(1, LAST_MAX),
    help="Show the last N transitions of NAME in a line each.",
    metavar="N",
)
@click.option(
    "--slowest",
    type=click.IntRange(1, SLOWEST_MAX),
    help="Show the N slowest of the fleet in a line each, or of NAME.",
    metavar="N",
)
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="Only such transitions; may be given several times.  [default: all]",
)
@click.option(
    "--within", "within_s", callback=asked, metavar="DURATION", help="Only of the last 1h, 30m …"
)
@json_option
@on_place
def command(
    name: str | None,
    last: int | None,
    slowest: int | None,
    kinds: tuple[str, ...],
    within_s: float | None,
    output: str | None,
    place: Place,
) -> None:
    """Show the steps of a database's last transition as a tree, each with its slack.

    A step's slack is how much longer it could have taken with the whole no longer for it; those
    with none are the critical chain. On a shell:

    \b
      torpor critical-chain shop
      torpor critical-chain shop --kind resume --last 10
      torpor critical-chain --slowest 20 --within 1h
    """
    if name is None and slowest is None:
        raise click.UsageError("name a database, or ask for the slowest: --slowest 20")
    if last is not None and slowest is not None:
        raise click.UsageError("--last and --slowest exclude each other")
    limit = last or slowest
    asks: dict[str, Any] = {"database": name or "", "kinds": kinds, "limit": limit or 1}
    asks |= {"order": "slowest" if slowest else "latest", "within_s": within_s}
    if limit is None:
        found = of_one(place, asks)
        if not found:
            raise none_known(asks)
    else:
        answer = place.ask_autoscaler("AskTransitions", timeout_s=QUICK_SECONDS_MAX, **asks)
        found = answer["transitions"]
    if output == "json":
        click.echo(json.dumps(found if limit else found[0], indent=2))
    elif limit is None:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo(transition_tree(found[0], datetime.now(UTC), columns))
    else:
        click.echo(transition_table(found, datetime.now(UTC)))
