"""`torpor completion`: the script with which a shell completes verbs, options and nodes."""

from __future__ import annotations

import click

from torpor_cli.shells import SHELLS, script


@click.command("completion")
@click.argument("shell", type=click.Choice(list(SHELLS)))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script with which a shell completes what you type: verbs, options, and the names
    of databases, computes, pools, volumes and sessions.

    \b
      source <(torpor completion bash)                        # in ~/.bashrc
      source <(torpor completion zsh)                         # in ~/.zshrc, after compinit
      torpor completion fish > ~/.config/fish/completions/torpor.fish

    `kubectl torpor` is completed by kubectl's own completion, from kubectl 1.26 on.
    """
    root = ctx.find_root()
    click.echo(script(shell, root.command, "torpor"), nl=False)
