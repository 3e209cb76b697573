"""The ``torpor`` command: which verbs there are, and how their failures are shown.

A verb's file is imported when the verb is used: `torpor list` doesn't load what `torpor up` needs.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

from torpor_api.failures import Failure, InvalidRequest
from torpor_cli.choosing import PLUGIN
from torpor_cli.options import cluster_options

COMPLETE_VARIABLE = "_TORPOR_COMPLETE"
"""Set by the script of `torpor completion`; as :mod:`torpor_cli.shells`, whose import takes time.
"""

EXIT_FAILED = 1
EXIT_INVALID = 2
"""Also click's for wrong usage."""

SENTENCE_CHARACTERS_MAX = 200
"""Of a verb in the list of all: no first sentence is as long."""

VERBS = (
    "up",
    "apply",
    "tree",
    "top",
    "get",
    "list",
    "status",
    "why",
    "decisions",
    "sessions",
    "critical-chain",
    "plot",
    "dashboard",
    "suspend",
    "resume",
    "switchover",
    "resize",
    "logs",
    "shell",
    "psql",
    "uri",
    "delete",
    "record",
    "simulate",
    "replay",
    "completion",
)
"""Each is a command of its name in ``torpor_cli/verbs``, in the order of the help."""


class Verbs(click.Group):
    """A group whose commands are imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"torpor_cli.verbs.{cmd_name.replace('-', '_')}_verb")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with its whole first sentence: half of one tells nobody what a verb does."""
        commands = ((name, self.get_command(ctx, name)) for name in VERBS)
        rows = [
            (name, command.get_short_help_str(SENTENCE_CHARACTERS_MAX))
            for name, command in commands
            if command is not None
        ]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="torpor", prog_name="torpor")
@cluster_options
def torpor(context: str | None, kubeconfig: Path | None, namespace: str | None) -> None:
    """Serverless Postgres: databases sleep, sessions stay.

    Verbs ask the `torpor up` of this machine, or a cluster where an option names one. Their exit
    code is 0 where all went well, 1 where something failed, and 2 where it can't have been meant.

    \b
      torpor up -f db.yaml
      torpor tree
      torpor psql shop
    """


def main(name: str = "torpor") -> None:
    """The console script."""
    if COMPLETE_VARIABLE in os.environ:
        from torpor_cli.shells import answer_shells

        answer_shells()
    try:
        torpor(prog_name=name)
    except Failure as failure:
        for line in failure.message.splitlines():
            click.echo(f"torpor: {line}", err=True)
        if failure.hint:
            click.echo(f"hint: {failure.hint}", err=True)
        sys.exit(EXIT_INVALID if isinstance(failure, InvalidRequest) else EXIT_FAILED)
    except OSError as error:
        # A full or read-only disk may show up anywhere; a stack trace would help nobody.
        click.echo(f"torpor: {error}", err=True)
        sys.exit(EXIT_FAILED)


def kubectl_plugin() -> None:
    """The console script that kubectl runs as `kubectl torpor`: on the current context."""
    main(PLUGIN)


def complete_kubectl_plugin() -> None:
    """The console script ``kubectl_complete-torpor``, which kubectl runs for `kubectl torpor …`."""
    from torpor_cli.shells import for_kubectl

    click.echo(for_kubectl(torpor, PLUGIN, sys.argv[1:]))


if __name__ == "__main__":
    main()
