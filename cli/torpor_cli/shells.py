"""Completion for the shells that people use: the scripts that they load, and what these ask.

Scripts and answers are ours and not click's, because a kind (``compute/``) is no whole word: no
space follows it; and because what a script understands must not change with click's release. How
words are split, and who is asked for what follows them, is click's.
"""

from __future__ import annotations

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

COMPLETE_VARIABLE = "_TORPOR_COMPLETE"
"""As click names it; scripts that were loaded from an earlier release set it."""

_BASH = """\
%(complete_func)s() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        case "${line%%%%,*}" in
            plain) COMPREPLY+=("${line#*,}") ;;
            nospace) COMPREPLY+=("${line#*,}"); compopt -o nospace ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done < <(IFS=$'\\n'; COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local -a response plain nospace described
    local kind value help
    (( ! $+commands[%(prog_name)s] )) && return 1
    response=("${(@f)$(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) \\
        %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null)}")
    for kind value help in ${response}; do
        case "$kind" in
            plain) [[ "$help" == _ ]] && plain+=("$value") || described+=("$value:$help") ;;
            nospace) nospace+=("$value") ;;
            dir) _path_files -/ ;;
            file) _path_files -f ;;
        esac
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -V unsorted -a plain
    (( $#nospace )) && compadd -U -S '' -V unsorted -a nospace
    return 0
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    set -l response (env %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) \\
        COMP_CWORD=(commandline -t) %(prog_name)s 2>/dev/null)
    for completion in $response
        set -l parts (string split --max 1 , -- $completion)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain nospace
                echo $parts[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


class Bash(BashComplete):
    """``type,value``: bash shows no help."""

    source_template = _BASH
    source = ShellComplete.source  # click's starts a bash to ask for its version.

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type},{item.value}"


class Zsh(ZshComplete):
    """``type``, ``value`` and help, a line each; ``_``: there is no help."""

    source_template = _ZSH

    def format_completion(self, item: CompletionItem) -> str:
        return f"{item.type}\n{item.value}\n{_in_a_line(item.help) or '_'}"


class Fish(FishComplete):
    """``type,value``, and behind a tab the help."""

    source_template = _FISH

    def format_completion(self, item: CompletionItem) -> str:
        help = _in_a_line(item.help)
        return f"{item.type},{item.value}" + (f"\t{help}" if help else "")


SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}


def answer_shells() -> None:
    """From now on a script that asks is answered in the form that it understands."""
    for shell, kind in SHELLS.items():
        add_completion_class(kind, shell)


def script(shell: str, command: click.Command, name: str) -> str:
    """What a person loads into a shell; ``name``: of the command there."""
    return SHELLS[shell](command, {}, name, COMPLETE_VARIABLE).source()


def _in_a_line(help: str | None) -> str:
    return " ".join((help or "").split())


NO_FILES, NO_SPACE_NO_FILES = 4, 6
"""What kubectl's own completion is told to do (cobra's ShellCompDirective)."""


def for_kubectl(command: click.Command, name: str, words: list[str]) -> str:
    """What kubectl asks ``kubectl_complete-NAME`` for: the words behind the plugin's name, of which
    the last is being typed. Each completion in a line, then what follows them."""
    *before, begun = words or [""]
    found = ShellComplete(command, {}, name, COMPLETE_VARIABLE).get_completions(before, begun)
    named = [item for item in found if item.type in ("plain", "nospace")]
    lines = [f"{item.value}\t{item.help}" if item.help else str(item.value) for item in named]
    has_space = all(item.type == "plain" for item in named)
    return "\n".join([*lines, f":{NO_FILES if has_space else NO_SPACE_NO_FILES}"])
