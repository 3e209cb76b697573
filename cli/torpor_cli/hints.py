"""Commands in hints, as they have to be typed here.

Whoever writes a hint, be it the autoscaler or a verb, puts a command of ours in backquotes and does
not know where it will be read. Only the command line knows how it was called: by which name, on
which state folder, cluster and namespace.
"""

from __future__ import annotations

import re

import click

from torpor_cli.place import Place

_COMMAND = re.compile(r"`torpor (?P<verb>[a-z-]+)(?P<rest>[^`]*)`")

_OF_A_MACHINE = "up"
"""No cluster has it."""


def here(hint: str, place: Place) -> str:
    """For the person who has called the verb that runs."""
    program = str(click.get_current_context().find_root().info_name)
    return as_typed_here(hint, program, place.flag)


def as_typed_here(hint: str, program: str, flag: str) -> str:
    """``program``: ``torpor`` or ``kubectl torpor``; ``flag``: names the place to a verb, with a
    space before it, or is empty."""

    def completed(found: re.Match[str]) -> str:
        verb, rest = found["verb"], found["rest"]
        if verb == _OF_A_MACHINE:
            return f"`torpor {verb}{rest}{flag if flag.startswith(' --state ') else ''}`"
        return f"`{program} {verb}{rest}{flag}`"

    return _COMMAND.sub(completed, hint)
