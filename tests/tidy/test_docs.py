"""What the documents say is so: links lead somewhere, files exist, commands can be typed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest

from tidy import markdown
from tidy.tree import ROOT, files, files_named, shown
from torpor_api.phases import as_mermaid
from torpor_autoscaler.adapters.metrics import OTHER, STEPS
from torpor_cli.main import VERBS, torpor

DOCUMENTS = files_named(".md")

per_document = pytest.mark.parametrize("document", DOCUMENTS, ids=shown)

A_COMPUTE = re.compile("compute/[0-9a-f]{12}")
"""A node of `torpor tree`, which looks like a path of ours."""

TARGETS = frozenset(
    re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
)


@per_document
def test_links_lead_somewhere(document: Path) -> None:
    assert [
        link for link in markdown.links(document.read_text()) if not _exists(document, link)
    ] == []


def _exists(document: Path, link: str) -> bool:
    if re.match(r"[a-z]+:", link):
        return True
    name, _, fragment = link.partition("#")
    target = (document.parent / name).resolve() if name else document
    return target.exists() and (not fragment or fragment in markdown.anchors(target.read_text()))


@per_document
def test_files_that_are_named_exist(document: Path) -> None:
    tops = {path.relative_to(ROOT).parts[0] for path in files() if path.parent != ROOT}
    path_of_ours = re.compile(
        rf"(?<![\w/.-])((?:{'|'.join(map(re.escape, tops))})/[\w./-]*)(?![*…<])"
    )
    named = {found.rstrip(".") for found in path_of_ours.findall(document.read_text())}
    missing = {name for name in named if not (ROOT / name).exists()}
    assert sorted(name for name in missing if not A_COMPUTE.fullmatch(name)) == []


@per_document
def test_commands_can_be_typed(document: Path) -> None:
    wrong = []
    for command in markdown.torpor_commands(document.read_text()):
        if command.verb not in VERBS:
            wrong.append(f"torpor {command.verb}")
        elif command.verb not in ("psql", "shell"):  # Further options are of what they run.
            unknown = set(command.options) - _options(command.verb)
            wrong += [f"torpor {command.verb} {option}" for option in sorted(unknown)]
    assert wrong == []


def _options(verb: str) -> frozenset[str]:
    assert isinstance(torpor, click.Group)
    command = torpor.get_command(click.Context(torpor), verb)
    assert command is not None
    return frozenset(option for param in command.params for option in param.opts) | {"-h", "--help"}


@per_document
def test_targets_can_be_made(document: Path) -> None:
    assert sorted(set(markdown.make_targets(document.read_text())) - TARGETS) == []


def test_every_step_of_a_wake_is_explained() -> None:
    explained = (ROOT / "docs/cli.md").read_text()
    assert [step for step in STEPS if step != OTHER and f"`{step}`" not in explained] == []


def test_the_phases_are_drawn_as_they_are() -> None:
    drawn = markdown.mermaid_diagrams((ROOT / "ARCHITECTURE.md").read_text())
    assert as_mermaid().strip() in drawn


def test_the_changelog_begins_with_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None and newest[1] == version


def test_what_is_wrong_would_be_found() -> None:
    text = (
        "See [there](gone.md) and `make nothing`.\n"
        "```sh\ntorpor list --colour -o wide   # not --this\n$ make demo; torpor nap shop\n```\n"
    )
    assert markdown.links(text) == ["gone.md"]
    assert markdown.make_targets(text) == ["demo", "nothing"]
    assert markdown.torpor_commands(text) == [
        markdown.TorporCommand("list", ("--colour", "-o")),
        markdown.TorporCommand("nap", ()),
    ]
