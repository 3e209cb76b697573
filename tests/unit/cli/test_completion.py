"""What a shell is told while somebody types; that nothing ever fails there."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from support import fleet_rows as rows
from support.fake_kube.server import FakeKube
from support.verb_places import Autoscaler, add_database, add_namespaces, on_cluster, on_machine
from torpor_api import messages as m
from torpor_cli.choosing import PLUGIN
from torpor_cli.main import VERBS, torpor
from torpor_cli.shells import SHELLS, for_kubectl, script


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Autoscaler]:
    async with on_machine(tmp_path) as fake:
        fake.answers |= rows.ANSWERS
        yield fake


async def typed(*words: str, name: str = "torpor") -> list[str]:
    """What may follow; the last word is being typed."""

    def found() -> list[str]:
        asked = ShellComplete(torpor, {}, name, "_X").get_completions(list(words[:-1]), words[-1])
        return [item.value for item in asked]

    return await asyncio.to_thread(found)


async def test_verbs_and_options() -> None:
    assert set(VERBS) <= set(await typed(""))
    assert await typed("swi") == ["switchover"]
    assert "--follow" in await typed("logs", "--f")


async def test_names_of_databases(machine: Autoscaler, tmp_path: Path) -> None:
    state = ["--state", str(tmp_path)]
    assert await typed("status", *state, "sh") == ["blog", "shop"]  # As the autoscaler found them.
    (asked,) = machine.asked
    assert asked == m.AskNames(prefix="sh", limit=200)
    assert await typed("critical-chain", *state, "sh") == ["blog", "shop"]
    assert await typed("replay", "log.csv", *state, "--to", "sh") == ["blog", "shop"]


async def test_nodes_of_each_kind(machine: Autoscaler, tmp_path: Path) -> None:
    state = ["--state", str(tmp_path)]
    assert await typed("why", *state, "") == [
        *("blog", "shop"),
        *("pool/", "compute/", "database/", "volume/", "session/"),
    ]
    assert await typed("why", *state, "compute/") == ["compute/c1", "compute/c2"]
    assert await typed("why", *state, "compute/c2") == ["compute/c2"]
    assert await typed("why", *state, "pool/") == ["pool/default"]
    assert await typed("why", *state, "session/1") == ["session/17", "session/18", "session/19"]
    assert await typed("tree", *state, "database/") == ["database/blog", "database/shop"]
    assert "sessions" in await typed("get", *state, "sess")
    assert await typed("why", *state, "pod/") == []


async def test_where_nobody_runs_nothing_is_offered_and_nothing_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for words in (["status", "--state", str(tmp_path / "none"), "s"], ["why", "compute/"]):
        assert await typed(*words) == []
    assert await typed("status", "--context", "no-such", "s") == []
    assert capfd.readouterr() == ("", "")


async def test_on_a_cluster_the_api_server_is_asked_for_names_alone(tmp_path: Path) -> None:
    async with FakeKube().serving() as kube, on_cluster(tmp_path, kube):
        add_namespaces(kube, "team")
        add_database(kube, "shoes", "team")
        options = ["--kubeconfig", str(tmp_path / "kubeconfig")]
        assert await typed("status", *options, "sh") == ["shop", "shoes.team"]
        assert await typed("status", *options, "-n", "team", "sh") == ["shoes"]


async def test_kubectl_is_answered_as_its_own_completion_wants_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeKube().serving() as kube, on_cluster(tmp_path, kube):
        monkeypatch.setattr(
            "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION",
            str(tmp_path / "kubeconfig"),
        )

        async def answered(*words: str) -> list[str]:
            told = await asyncio.to_thread(for_kubectl, torpor, PLUGIN, list(words))
            return told.splitlines()

        assert await answered("status", "sh") == ["shop", ":4"]
        assert await answered("why", "comp") == ["compute/", ":6"]
        verbs = await answered("")
        assert any(each.startswith("switchover\tMove an awake database to a") for each in verbs)


@pytest.mark.parametrize("shell", list(SHELLS))
def test_each_shell_gets_its_script(shell: str) -> None:
    told = CliRunner().invoke(torpor, ["completion", shell], prog_name="torpor")
    assert told.exit_code == 0 and told.stdout == script(shell, torpor, "torpor")
    assert "_TORPOR_COMPLETE=" in told.stdout and "%" not in told.stdout.replace("%%", "").replace(
        "${line%", ""
    )


def test_another_shell_is_refused_with_those_there_are() -> None:
    told = CliRunner().invoke(torpor, ["completion", "csh"])
    assert told.exit_code == 2 and "'bash', 'zsh', 'fish'" in told.stderr


def test_bash_offers_what_was_asked_and_no_space_behind_a_kind(tmp_path: Path) -> None:
    """In a real bash, with a `torpor` that answers as ours does."""
    stand_in = tmp_path / "torpor"
    stand_in.write_text(
        "#!/bin/sh\n"
        'printf "%s|%s|%s\\n" "$COMP_WORDS" "$COMP_CWORD" "$_TORPOR_COMPLETE" >>"$0.asked"\n'
        'echo nospace,compute/; echo "plain,shop"\n'
    )
    stand_in.chmod(0o755)
    (tmp_path / "script").write_text(script("bash", torpor, "torpor"))
    typed = (
        'source "$1"; compopt() { echo "compopt $*"; }; COMP_WORDS=(torpor why co); COMP_CWORD=2; '
        '_torpor_completion "$2"; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    argv = ["bash", "--norc", "-c", typed, "bash", str(tmp_path / "script"), str(stand_in)]
    told = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=20)
    assert told.stdout.splitlines() == ["compopt -o nospace", "compute/", "shop"]
    assert (tmp_path / "torpor.asked").read_text() == "torpor\nwhy\nco|2|bash_complete\n"


def test_what_a_shell_asks_loads_nothing_that_takes_long() -> None:
    """Models and their library take longer than all else: a press of a key would be felt."""
    quick = ("list", "get", "tree", "top", "why", "logs", "suspend", "resume", "sessions", "shell")
    program = (
        "import importlib, sys; import torpor_cli.main\n"
        f"for verb in {quick}: importlib.import_module(f'torpor_cli.verbs.{{verb}}_verb')\n"
        "import torpor_cli.local.machine\n"
        "print([name for name in ('pydantic', 'asyncio', 'kubernetes') if name in sys.modules])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert told.stdout == "[]\n", told.stderr
