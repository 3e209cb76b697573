"""`torpor logs`: what was said about a node, by Postgres, its agents or its proxy."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime

import click

from torpor_api.failures import Unavailable
from torpor_cli.logs.following import Followed
from torpor_cli.logs.lines import Line
from torpor_cli.logs.of_node import sources_of
from torpor_cli.options import json_option, node_argument, on_place
from torpor_cli.output import printable
from torpor_cli.place import Place
from torpor_cli.transitions import asked
from torpor_cli.tree.node import Node

TAIL_DEFAULT = 500
TAIL_MAX = 1_000_000

FOLLOW_EVERY_SECONDS = 0.5
"""Between two looks at what was added."""


@click.command("logs")
@node_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what is said from now on.")
@click.option(
    "--since", "since_s", callback=asked, metavar="DURATION", help="Only of the last 1h, 5m …"
)
@click.option(
    "--tail",
    type=click.IntRange(0, TAIL_MAX),
    metavar="N",
    help=f"Only the last N lines.  [default: {TAIL_DEFAULT}; with --since all]",
)
@json_option
@on_place
def command(
    node: Node,
    follow: bool,
    since_s: float | None,
    tail: int | None,
    output: str | None,
    place: Place,
) -> None:
    """Print the log of a node.

    Of a database what its Postgres has said, over all computes that it has had; of a compute what
    its agent said, and the Postgres of the database that it serves; of a pool all of its computes';
    of a session what its proxy said of it. With -o json one object a line.

    \b
      torpor logs shop --since 1h
      torpor logs compute/4f1c22d09ab3 -f
      torpor logs pool/default --since 5m
      torpor logs session/17 -o json
    """
    sources = sources_of(place, node)
    readers = {source: place.inside.log(source, since_s=since_s) for source in sources}
    followed, is_prefixed = Followed(readers), len(sources) > 1
    since = time.time() - since_s if since_s is not None else 0.0
    lines = followed.read(since)
    most = tail if tail is not None else TAIL_DEFAULT if since_s is None else TAIL_MAX
    _print(lines[max(0, len(lines) - most) :], output, is_prefixed)
    for failure in followed.unread.values():
        click.echo(failure.message, err=True)
    if not (lines or followed.unread or follow):
        click.echo(f"nothing is said of {node} in what is kept of the log", err=True)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            _follow(followed, output, is_prefixed)
    if followed.is_refused:
        sys.exit(1)


def _follow(followed: Followed, output: str | None, is_prefixed: bool) -> None:
    """Until Ctrl-C, which is the way to end it."""
    while True:
        time.sleep(FOLLOW_EVERY_SECONDS)
        try:
            _print(followed.read(), output, is_prefixed)
        except Unavailable as failure:  # A network has bad moments; what was said is kept.
            click.echo(failure.message, err=True)


def _print(lines: Iterable[Line], output: str | None, is_prefixed: bool) -> None:
    for line in lines:
        if output == "json":
            at = datetime.fromtimestamp(line.at, UTC).isoformat() if line.at else None
            click.echo(json.dumps({"at": at, "source": line.source, "line": line.text}))
        else:
            lead = f"{line.source}  " if is_prefixed else ""
            click.echo(lead + printable(line.text.replace("\t", "    ")))
