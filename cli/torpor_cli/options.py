"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path

import click

from torpor_api.identity import canonical_endpoint_name
from torpor_cli.local.state_folder import StateFolder, default_root


def _as_folder(_: click.Context, __: click.Parameter, value: Path | None) -> StateFolder:
    return StateFolder((value or default_root()).absolute())


def _as_endpoint_name(_: click.Context, __: click.Parameter, value: str) -> str:
    """``shop.default`` is ``shop``; what is no name at all is for whoever is asked about it."""
    return canonical_endpoint_name(value) or value


state_option = click.option(
    "--state",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="TORPOR_STATE",
    callback=_as_folder,
    metavar="DIR",
    help="The state folder of `torpor up`.  [default: /var/lib/torpor for root, else "
    "~/.local/state/torpor]",
)

name_argument = click.argument("name", callback=_as_endpoint_name)

json_option = click.option(
    "-o", "--output", type=click.Choice(["json"]), help="Print JSON instead of text."
)

file_option = click.option(
    "-f",
    "--file",
    "files",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    metavar="FILE",
    help="ServerlessDatabase YAML; may be given several times; - is standard input.",
)


def flag_for(folder: StateFolder) -> str:
    """How to name this state folder to another verb; nothing where it is the default."""
    return "" if folder.root == default_root() else f" --state {folder.root}"
