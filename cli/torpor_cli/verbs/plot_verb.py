"""`torpor plot`: a transition as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from torpor_cli.options import json_option, name_argument, on_place
from torpor_cli.place import Place
from torpor_cli.transition_svg import transition_svg
from torpor_cli.transitions import KINDS, none_known, of_one


@click.command("plot")
@name_argument
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(KINDS),
    multiple=True,
    help="The last one of this kind; may be given several times.  [default: of any]",
)
@click.option(
    "-f",
    "--file",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default="-",
    metavar="FILE",
    help="Write it there.  [default: standard output]",
)
@json_option
@on_place
def command(
    name: str, kinds: tuple[str, ...], file: Path, output: str | None, place: Place
) -> None:
    """Draw a database's last transition as SVG: a row a step, on a line of time.

    \b
      torpor plot shop > shop.svg
      torpor plot shop --kind switchover --file move.svg
    """
    asks: dict[str, Any] = {"database": name, "kinds": kinds, "limit": 1}
    asks |= {"order": "latest", "within_s": None}
    found = of_one(place, asks)
    if not found:
        raise none_known(asks)
    drawn = json.dumps(found[0], indent=2) + "\n" if output == "json" else transition_svg(found[0])
    with click.open_file(str(file), "w", encoding="utf-8") as target:
        target.write(drawn)
