"""`torpor top`: the fleet on the whole screen, live."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime

import click

from torpor_cli.options import json_option, on_place
from torpor_cli.place import Place
from torpor_cli.top.view import FILTER_CHARACTERS_MAX, Sort, View

WIDTH_WITHOUT_TERMINAL = 160

LINES_DEFAULT = 50
"""Of a snapshot as text; as JSON it has all."""


def _filter(_: click.Context, __: click.Parameter, value: str) -> str:
    if len(value) > FILTER_CHARACTERS_MAX:
        raise click.BadParameter(f"longer than {FILTER_CHARACTERS_MAX} characters")
    return value


@click.command("top")
@click.option(
    "--sort",
    type=click.Choice([str(sort) for sort in Sort]),
    default=str(Sort.PHASE),
    show_default=True,
    help="By which column, the largest first.",
)
@click.option(
    "--filter",
    "wanted",
    default="",
    callback=_filter,
    metavar="TEXT",
    help="Only databases with this in their name or phase.",
)
@click.option("--once", is_flag=True, help="Print what there is now, and end.")
@json_option
@on_place
def command(sort: str, wanted: str, once: bool, output: str | None, place: Place) -> None:
    """Watch all databases on the whole screen: who is awake, for whom, and what it costs.

    Keys: j k choose a database, Enter looks at it, s and r suspend and resume it (you are asked
    before), < > change the order, / filters, ? shows all keys, q ends it. Where the output is no
    terminal, one snapshot is printed.

    \b
      torpor top
      torpor top --sort wakes/h --once
      torpor top -o json
    """
    view = View(sort=Sort(sort), filter=wanted)
    if output == "json":
        click.echo(json.dumps(_snapshot(place, view), indent=2))
    elif once or not (sys.stdin.isatty() and sys.stdout.isatty()):
        _print_once(place, view)
    else:
        from torpor_cli.top.live import live

        live(place, view)


def _snapshot(place: Place, view: View) -> dict[str, object]:
    from torpor_cli.top.view import in_order
    from torpor_cli.tree import fleet

    seen = fleet.whole(place, sessions=0)
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "databases": in_order(seen.rows, view),
        "pools": seen.pools,
        "computes": seen.computes,
        "proxies": list(seen.proxies),
    }


def _print_once(place: Place, view: View) -> None:
    """The first of them, as on a screen."""
    from torpor_cli.top.frame import HEADER_LINES, frame
    from torpor_cli.top.view import Seen, in_order
    from torpor_cli.tree import fleet

    told = fleet.whole(place, sessions=0)
    seen = Seen(told.rows, told.pools, told.computes)
    shown = len(in_order(seen.rows, view))
    height = HEADER_LINES + min(shown, LINES_DEFAULT)
    width = shutil.get_terminal_size((WIDTH_WITHOUT_TERMINAL, 0)).columns
    for line in frame(view, seen, width, height + 1, datetime.now(UTC))[:height]:
        click.echo(line.text.rstrip())
    if shown > LINES_DEFAULT:
        click.echo(f"and {shown - LINES_DEFAULT:,} more: -o json has them all")
