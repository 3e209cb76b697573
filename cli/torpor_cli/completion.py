"""What may be typed next, where that is the name of a node. Never fails: then there is nothing.

Asked by a shell on each press of a key, so nothing is imported before it is needed, and nobody is
waited for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from torpor_cli.place import Place

ANSWER_SECONDS_MAX = 2.0
"""A person who types waits for no longer; a running `torpor up` answers in milliseconds."""

NAMES_MAX = 200
"""Offered at once: more fill the screen, and nobody reads them."""

KINDS = ("pool", "compute", "database", "volume", "session")
"""As :class:`torpor_cli.tree.node.Kind`, whose import nobody waits for here."""


def complete_database(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of databases."""
    return _quietly(lambda: _databases(_place(ctx), incomplete))


def complete_node(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of databases and, of the other kinds, first the kind and then the name."""
    kind, slash, begun = incomplete.partition("/")
    if slash:
        return _quietly(lambda: _nodes(_place(ctx), kind, begun))
    kinds = _items((f"{each}/" for each in KINDS if each.startswith(incomplete)), "nospace")
    return _quietly(lambda: _databases(_place(ctx), incomplete)) + kinds


def complete_kind_or_node(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Also whole kinds, as `torpor get` takes them."""
    kinds = _items(f"{kind}s" for kind in KINDS if f"{kind}s".startswith(incomplete))
    return ([] if "/" in incomplete else kinds) + complete_node(ctx, param, incomplete)


def _place(ctx: click.Context) -> Place:
    from torpor_cli.choosing import place_while_typing

    return place_while_typing(ctx)


def _databases(place: Place, begun: str) -> Iterable[str]:
    return place.names(begun, NAMES_MAX, timeout_s=ANSWER_SECONDS_MAX)


def _nodes(place: Place, kind: str, begun: str) -> Iterable[str]:
    from torpor_cli.tree.node import KIND_WORDS, Kind, pool_name

    match KIND_WORDS.get(kind):
        case Kind.DATABASE | Kind.VOLUME:
            found = _databases(place, begun)
        case Kind.COMPUTE:
            told = place.ask_autoscaler("AskComputes", timeout_s=ANSWER_SECONDS_MAX)
            found = [row["compute"] for row in told["computes"]]
        case Kind.POOL:
            told = place.ask_autoscaler("AskComputes", timeout_s=ANSWER_SECONDS_MAX)
            found = [pool_name(row["name"]) for row in told["pools"]]
        case Kind.SESSION:
            found = _sessions(place)
        case None:
            found = []
    return [f"{kind}/{name}" for name in found if name.startswith(begun)][:NAMES_MAX]


def _sessions(place: Place) -> list[str]:
    asked = {"name": "", "limit": NAMES_MAX}
    told = place.ask_autoscaler("Sessions", timeout_s=ANSWER_SECONDS_MAX, **asked)["sessions"]
    several = len({session["proxy"] for session in told}) > 1
    return [
        f"{each['proxy']}.{each['session']}" if several else str(each["session"]) for each in told
    ]


def _quietly(found: Callable[[], Iterable[str]]) -> list[CompletionItem]:
    """Nothing, where nobody is there to be asked: a traceback would stand in the line that is being
    typed."""
    with contextlib.suppress(Exception), _silent():
        return _items(found())
    return []


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Hints that verbs write to standard error would stand there as well."""
    import io

    with contextlib.redirect_stderr(io.StringIO()):
        yield


def _items(words: Iterable[str], type: str = "plain") -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word, type=type) for word in words]
