"""What holds for every verb: help with an example, JSON, and an exit code that can be trusted."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from torpor_api.failures import Busy, InvalidRequest
from torpor_cli import main
from torpor_cli.main import VERBS, torpor

WITHOUT_JSON = {
    "psql": "-o is psql's own: psql --csv, or -A -t",
    "shell": "the terminal is the shell's, and what it prints as well",
    "completion": "what it prints is a script",
}
"""And why."""

per_verb = pytest.mark.parametrize("verb", VERBS)


def command_of(verb: str) -> click.Command:
    assert isinstance(torpor, click.Group)
    command = torpor.get_command(click.Context(torpor), verb)
    assert command is not None
    return command


def help_of(verb: str) -> str:
    shown = CliRunner().invoke(torpor, [verb, "--help"])
    assert shown.exit_code == 0
    return shown.stdout


@per_verb
def test_its_help_has_an_example_that_can_be_typed(verb: str) -> None:
    examples = re.findall(rf"^ +(?:source <\()?torpor {verb}\b(.*)$", help_of(verb), re.MULTILINE)
    assert examples, f"torpor {verb} --help has no line with `torpor {verb} …`"
    known = {option for param in command_of(verb).params for option in param.opts}
    if verb not in ("psql", "shell"):
        for example in examples:
            own = example.partition("#")[0].partition("|")[0]
            unknown = set(re.findall(r"(?<=\s)--[a-z][-a-z]*", own)) - known
            assert not unknown, f"torpor {verb}{example}"


def test_the_list_of_verbs_has_whole_sentences() -> None:
    shown = CliRunner().invoke(torpor, ["--help"]).stdout
    assert "..." not in shown.partition("Commands:")[2]


@per_verb
def test_each_of_its_options_says_what_it_is_for(verb: str) -> None:
    options = [each for each in command_of(verb).params if isinstance(each, click.Option)]
    silent = [each.name for each in options if not each.help]
    assert silent == []


@per_verb
def test_it_prints_json_where_that_has_a_meaning(verb: str) -> None:
    outputs = [each for each in command_of(verb).params if each.name == "output"]
    if verb in WITHOUT_JSON:
        assert outputs == []
        return
    (output,) = outputs
    assert isinstance(output.type, click.Choice) and "json" in output.type.choices
    assert "-o" in output.opts


@per_verb
def test_what_can_not_be_meant_is_exit_code_2(verb: str) -> None:
    wrong = CliRunner().invoke(torpor, [verb, "--no-such-option-at-all=1", *["x"] * 9])
    if verb in ("psql", "shell"):  # Options that they don't know are handed on.
        wrong = CliRunner().invoke(torpor, [verb])
    assert wrong.exit_code == main.EXIT_INVALID and "Traceback" not in wrong.output


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Busy("a session is at work", "wait for it"), 1),
        (InvalidRequest("no such node"), 2),
        (OSError(28, "No space left on device"), 1),
    ],
)
def test_a_failure_is_said_and_is_an_exit_code(
    failure: Exception,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(**_: object) -> None:
        raise failure

    monkeypatch.setattr(main, "torpor", fails)
    with pytest.raises(SystemExit) as ended:
        main.main()
    assert ended.value.code == code
    told = capsys.readouterr()
    assert told.out == "" and told.err.startswith("torpor: ") and "Traceback" not in told.err


def test_nobody_runs_is_exit_code_1_and_says_what_to_run(tmp_path: Path) -> None:
    for argv in (["tree"], ["top", "--once"], ["get"], ["get", "sessions"], ["logs", "shop"]):
        told = CliRunner().invoke(torpor, [*argv, "--state", str(tmp_path)])
        assert told.exit_code == 1, argv
        assert "no `torpor up` is running" in str(told.exception), argv
