"""`torpor dashboard`: a link that lets a browser into the page of the whole fleet."""

from __future__ import annotations

import json
import webbrowser

import click

from torpor_cli.options import json_option, on_place
from torpor_cli.place import Place


@click.command("dashboard")
@click.option("--open", "opens", is_flag=True, help="Open it in this machine's browser.")
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    metavar="PORT",
    help="Of this machine, where a cluster's dashboard is reached.  [default: 5480, or a free one]",
)
@json_option
@on_place
def command(opens: bool, port: int | None, output: str | None, place: Place) -> None:
    """Print a link to the dashboard, which lets one browser in, once.

    A browser that was let in is known for a month. Of a cluster whose dashboard has no name of its
    own it is reached through the API server, for as long as this command runs. On a shell:

    \b
      torpor dashboard
      torpor dashboard --open
      kubectl torpor dashboard --port 8080
    """

    def announce(url: str, valid_s: float) -> None:
        if output == "json":
            click.echo(json.dumps({"url": url, "valid_s": valid_s}))
        else:
            click.echo(url)
        if opens and not webbrowser.open(url):
            click.echo("no browser was found here: open the link yourself", err=True)

    place.dashboard(port, announce)
