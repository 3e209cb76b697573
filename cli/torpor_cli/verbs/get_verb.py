"""`torpor get`: nodes of any kind, all of them or those that are named."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence

import click

from torpor_cli.completion import complete_kind_or_node
from torpor_cli.hints import here
from torpor_cli.options import meant, on_place
from torpor_cli.place import Place
from torpor_cli.tree.getting import (
    all_of,
    documents,
    lines_of,
    one_of,
    shown,
    state_of,
    story,
)
from torpor_cli.tree.node import KIND_WORDS, Kind, Node
from torpor_cli.tree.tables import Listed

WATCH_EVERY_SECONDS = 1.0
"""Proxies tell the autoscaler once a second what sessions do."""

WATCH_REST = 10.0
"""Between two looks it rests for this many times as long as the look took: whoever watches ten
thousand databases does not take the autoscaler's time from these."""

Asked = Kind | Node


@click.command("get")
@click.argument("what", nargs=-1, metavar="[KIND|NODE]...", shell_complete=complete_kind_or_node)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["json", "yaml", "wide", "name"]),
    help="Print JSON, YAML, more columns, or names alone.",
)
@click.option("-w", "--watch", is_flag=True, help="Go on: print each line again that changes.")
@on_place
def command(what: tuple[str, ...], output: str | None, watch: bool, place: Place) -> None:
    """Show databases, computes, pools, volumes and sessions.

    KIND is databases, computes, pools, volumes, sessions or all; a NODE is KIND/NAME, or the name
    of a database.

    \b
      torpor get databases
      torpor get computes -o wide
      torpor get shop -o yaml
      torpor get compute/4f1c22d09ab3 session/17
      torpor get sessions --watch
    """
    asked = _asked(place, what or ("databases",))
    if watch:
        if output in ("json", "yaml"):
            raise click.UsageError(f"--watch prints lines: not with -o {output}")
        with contextlib.suppress(KeyboardInterrupt):
            _watch(place, asked, output)
        return
    found = list(_found(place, asked, output))
    if output in ("json", "yaml"):
        is_list = len(asked) > 1 or isinstance(asked[0], Kind)
        nodes = [node for _, nodes in found for node in nodes]
        click.echo(documents(nodes, output, is_list=is_list))
    elif output is None and len(asked) == 1 and isinstance(asked[0], Node):
        click.echo(story(found[0][1][0]))
    else:
        for text in _tables(found, output, place):
            click.echo(text)


def _asked(place: Place, what: Sequence[str]) -> list[Asked]:
    """A word that is a kind means that kind: a database of that name is ``database/NAME``."""
    asked = list[Asked]()
    for word in what:
        if word == "all":
            asked += list(Kind)
        else:
            asked.append(KIND_WORDS.get(word.lower()) or meant(place, word))
    return asked


def _found(
    place: Place, asked: Sequence[Asked], output: str | None
) -> Iterator[tuple[Kind, list[Listed]]]:
    """By kind, in the order in which they were asked for."""
    is_wide = output == "wide"
    by_kind: dict[Kind, list[Listed]] = {}
    for each in asked:
        kind = each if isinstance(each, Kind) else each.kind
        if isinstance(each, Kind):
            nodes = all_of(place, each, is_wide=is_wide)
        else:
            nodes = [one_of(place, each)]
        by_kind.setdefault(kind, []).extend(nodes)
    yield from by_kind.items()


def _tables(
    found: Sequence[tuple[Kind, list[Listed]]], output: str | None, place: Place
) -> Iterator[str]:
    for index, (kind, nodes) in enumerate(found):
        if nodes:
            lead = "\n" if index and output != "name" else ""
            yield lead + shown(kind, nodes, output)
        elif output != "name" and len(found) == 1:
            click.echo(_none(kind, place), err=True)


def _none(kind: Kind, place: Place) -> str:
    if kind is Kind.DATABASE:
        return here("no databases yet: declare one with `torpor apply -f FILE`", place)
    return f"there are no {kind.plural}"


def _watch(place: Place, asked: Sequence[Asked], output: str | None) -> None:
    """Until Ctrl-C, which is the way to end it."""
    known: dict[Node, str] = {}
    titled: set[Kind] = set()
    while True:
        began = time.monotonic()
        for kind, nodes in _found(place, asked, output):
            title, lines = lines_of(kind, nodes, output)
            for node, line in zip(nodes, lines, strict=True):
                state = state_of(node)
                if known.get(node.node) != state:
                    if title and kind not in titled:
                        click.echo(title)
                    titled.add(kind)
                    click.echo(line)
                known[node.node] = state
        took = time.monotonic() - began
        time.sleep(max(WATCH_EVERY_SECONDS, took * WATCH_REST))
