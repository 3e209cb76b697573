"""What verbs that change something have in common: whom they act on, what is asked before, and how
it went."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import click

from torpor_api.failures import Failure
from torpor_cli.client import Json
from torpor_cli.place import Place
from torpor_cli.tree.fleet import database_of, rows_of
from torpor_cli.tree.meaning import Acts, meaning
from torpor_cli.tree.node import Kind, Node, pool_name


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one node."""

    node: Node
    outcome: str
    """In a word: ``created``, ``suspended``, ``failed``."""
    words: str
    """The sentence."""
    failure: str = ""

    def as_json(self) -> Json:
        told = {"node": str(self.node), "outcome": self.outcome}
        return told | ({"failure": self.failure} if self.failure else {})


def databases_meant(
    place: Place, verb: str, node: Node, is_meant: Callable[[Json], bool]
) -> tuple[str, ...]:
    """The databases on which a verb acts that is given a node; of a pool those that are meant."""
    if meaning(verb, node) is not Acts.EACH_DATABASE:
        return (database_of(place, node),)
    in_pool = (row for row in rows_of(place) if pool_name(row["pool"]) == node.name)
    return tuple(row["name"] for row in in_pool if is_meant(row))


def confirm(question: str, yes: bool) -> None:
    """Before many are acted on: a person is asked, and a program has to have said it."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{question} Say so with --yes")
    click.confirm(question, abort=True, err=True)


def on_each(names: Sequence[str], act: Callable[[str], Outcome]) -> Iterator[Outcome]:
    """One after the other. Of one alone a failure is the verb's own; of several it is told with the
    others', and the next one is acted on."""
    for name in names:
        try:
            yield act(name)
        except Failure as failure:
            if len(names) == 1:
                raise
            words = f"{name}: {failure.message}"
            yield Outcome(Node(Kind.DATABASE, name), "failed", words, failure.message)


def show(outcomes: Iterable[Outcome], output: str | None) -> None:
    """Each as soon as it is known, or all of them as JSON; the exit code is 1 where one failed."""
    seen = list[Outcome]()
    for each in outcomes:
        seen.append(each)
        if output != "json":
            click.echo(each.words, err=bool(each.failure))
    if output == "json":
        click.echo(json.dumps({"results": [each.as_json() for each in seen]}, indent=2))
    if any(each.failure for each in seen):
        sys.exit(1)
