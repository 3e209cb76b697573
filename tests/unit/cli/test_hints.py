"""Commands in hints work when they are copied from where they were read."""

from __future__ import annotations

import asyncio
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from support.verb_places import on_machine
from torpor_api import messages as m
from torpor_api.failures import Failure, NotFound
from torpor_cli.hints import as_typed_here
from torpor_cli.main import torpor


@pytest.mark.parametrize(
    ("program", "flag", "typed"),
    [
        ("torpor", "", "see `torpor why shop`, or `torpor list`"),
        ("torpor", " --state /s", "see `torpor why shop --state /s`, or `torpor list --state /s`"),
        ("kubectl torpor", "", "see `kubectl torpor why shop`, or `kubectl torpor list`"),
        (
            "kubectl torpor",
            " --context c",
            "see `kubectl torpor why shop --context c`, or `kubectl torpor list --context c`",
        ),
    ],
)
def test_each_command_is_completed(program: str, flag: str, typed: str) -> None:
    assert as_typed_here("see `torpor why shop`, or `torpor list`", program, flag) == typed


def test_torpor_up_is_of_a_machine_wherever_it_is_named() -> None:
    hint = "start it with `torpor up`"
    assert as_typed_here(hint, "torpor", " --state /s") == "start it with `torpor up --state /s`"
    assert as_typed_here(hint, "kubectl torpor", " --context c") == hint


def test_other_peoples_commands_are_left_alone() -> None:
    hint = "`kubectl describe warmpool default` says why; pip install 'torpor[replay]'"
    assert as_typed_here(hint, "torpor", " --state /s") == hint


async def test_the_autoscalers_hint_names_the_folder_that_was_asked(tmp_path: Path) -> None:
    root = tmp_path / "a folder"
    root.mkdir()
    async with on_machine(root) as fake:
        missing = NotFound("no database 'shop'", hint="`torpor list` shows those there are")
        fake.answers[m.Why] = missing
        done = await fake.torpor("why", "shop")
        assert isinstance(done.exception, Failure)
        command = done.exception.hint.split("`")[1]
        program, *arguments = shlex.split(command)
        assert program == "torpor" and arguments[:2] == ["list", "--state"]
        again = await asyncio.to_thread(CliRunner().invoke, torpor, arguments)
        assert again.exit_code == 0 and "shop" in again.stdout, again.output
