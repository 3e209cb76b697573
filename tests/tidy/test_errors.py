"""docs/errors.md has every error that Torpor tells anybody, and none that is gone."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass

import pytest

from tidy import client_words
from tidy.imports import sources
from tidy.resource_reasons import reasons
from tidy.tree import ROOT
from torpor_api.failures import Failure
from torpor_cli import main as cli
from torpor_proxy.core import wire
from torpor_proxy.core.broken import RESULT_CHANGED

TEXT = (ROOT / "docs" / "errors.md").read_text()

CLIENTS, PEOPLE, RESOURCES = TEXT.split("\n## ")[1:]


@dataclass(frozen=True, slots=True)
class Section:
    """Of one error."""

    head: str
    words: frozenset[str]
    text: str


def sections(part: str) -> dict[str, Section]:
    """By the headings of a part."""
    found = {}
    for block in part.split("\n### ")[1:]:
        name, head, *lines = block.splitlines()
        words = frozenset(line.removeprefix("> ") for line in lines if line.startswith("> "))
        found[name] = Section(head, words, block)
    return found


def rows(part: str) -> dict[str, list[str]]:
    """Of its tables: the cells behind the first, by the code in the first."""
    found = re.findall(r"^\| `(\w+)` \| (.*) \|$", part, re.MULTILINE)
    return {name: rest.split(" | ") for name, rest in found}


TOLD = sections(CLIENTS)
KINDS = sections(PEOPLE)

RESULT = "ResultChanged"
"""The one report that is of no class: Postgres's own error, in its own bytes."""


# --- clients ------------------------------------------------------------------------------------


def test_each_report_has_its_section_and_no_other_is_there() -> None:
    assert set(TOLD) == set(client_words.kinds_of_report()) | {RESULT}


def test_no_report_reaches_a_client_that_is_of_no_class() -> None:
    assert client_words.reports_made_elsewhere() == []


@pytest.mark.parametrize("name", sorted(client_words.kinds_of_report()))
def test_a_report_has_its_sqlstate_severity_and_words(name: str) -> None:
    kind = client_words.kinds_of_report()[name]
    sqlstate, severity = re.findall(r"^`(\w{5})`.* · ([A-Z]+)$", TOLD[name].head)[0]
    assert (sqlstate, severity) == (kind.sqlstate, kind.severity)
    assert TOLD[name].words == client_words.messages()[name]


def test_the_changed_result_is_as_it_is_told() -> None:
    fields = wire.report_fields(RESULT_CHANGED)
    assert TOLD[RESULT].head == f"`{fields['C']}` · {fields['V']}"
    assert TOLD[RESULT].words == {fields["M"]}


@pytest.mark.parametrize("name", sorted(TOLD))
def test_a_client_is_told_cause_cure_and_whether_to_try_again(name: str) -> None:
    for word in ("**Cause.** ", "**Cure.** ", "**Try again:** "):
        assert word in TOLD[name].text.replace("\n", " ")


# --- people -------------------------------------------------------------------------------------


def test_each_kind_of_failure_has_its_section_and_no_other_is_there() -> None:
    assert set(KINDS) == set(Failure.by_kind)


@pytest.mark.parametrize("kind", sorted(Failure.by_kind))
def test_a_failure_has_its_sqlstate_and_whether_to_try_again(kind: str) -> None:
    failure = Failure.by_kind[kind]
    again = "yes" if failure.retryable else "no"
    assert KINDS[kind].head == f"`{failure.sqlstate}` · try again: {again}"
    assert "**Cause.** " in KINDS[kind].text and "**Cure.** " in KINDS[kind].text.replace("\n", " ")


def test_each_kind_of_a_component_s_own_is_in_the_table() -> None:
    told = {name: cells[0] for name, cells in rows(PEOPLE).items()}
    assert told == _kinds_of_components()


def _kinds_of_components() -> dict[str, str]:
    """By name: what it is a kind of."""
    bases = {
        node.name: [base.id for base in node.bases if isinstance(base, ast.Name)]
        for module, tree in sources().items()
        if module != Failure.__module__
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    return {name: b for name, of in bases.items() for b in of if b in Failure.by_kind}


def test_exit_codes_are_as_they_are_told() -> None:
    for code, word in ((0, "done"), (cli.EXIT_FAILED, "failed"), (cli.EXIT_INVALID, "invalid")):
        assert f"{code}: {word}" in PEOPLE


# --- resources ----------------------------------------------------------------------------------


def test_each_reason_of_a_condition_or_event_is_in_the_table() -> None:
    assert set(rows(RESOURCES)) == reasons()


# --- that it would be noticed -------------------------------------------------------------------


def test_words_are_found_where_they_are_made() -> None:
    source = 'def f(n):\n    words = f"{n} wait"\n    words = "none" if n else "some"\n    g(words)'
    function = ast.parse(source).body[0]
    call = ast.parse("words", mode="eval").body
    assert set(client_words.patterns(call, function)) == {"… wait", "none", "some"}
