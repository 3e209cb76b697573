"""From the text of a YAML file to resources: whatever stands in it, at worst it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.failures import InvalidRequest
from torpor_api.manifest import MANIFEST_BYTES_MAX, parse_manifest

SAMPLES = sorted((Path(__file__).parents[3] / "manifests" / "samples").glob("*.yaml"))

SHOP = "kind: ServerlessDatabase\nmetadata: {name: shop}\n"

ALIASES_OF_ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def refusal(text: str) -> str:
    with pytest.raises(InvalidRequest) as refused:
        parse_manifest(text, "file.yaml")
    return refused.value.message


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_the_samples_are_valid(sample: Path) -> None:
    assert parse_manifest(sample.read_text(), sample.name)


def test_several_documents_come_in_their_order() -> None:
    text = f"---\n{SHOP}---\n---\n{SHOP.replace('shop', 'blog')}"
    assert [resource.name for resource in parse_manifest(text, "-")] == ["shop", "blog"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "file.yaml: holds no resource; expected kind ServerlessDatabase"),
        ("# nothing\n---\n", "file.yaml: holds no resource"),
        ("a: [", "file.yaml: not YAML: "),
        ("a: !!python/object:os.system {}", "file.yaml: not YAML: "),
        ("at: 2026-13-45", "file.yaml: not YAML: "),
        (f"n: {'9' * 5000}", "file.yaml: not YAML: "),
        ("[" * 5000, "file.yaml: "),
        ("just words", "file.yaml: ?: ServerlessDatabase: "),
        (SHOP + "---\n" + SHOP, "file.yaml: ServerlessDatabase shop stands twice"),
        (SHOP + "spec: {x: 1}", "file.yaml: shop: spec.x: unknown field"),
        ("#" * (MANIFEST_BYTES_MAX + 1), f"file.yaml: larger than {MANIFEST_BYTES_MAX} bytes"),
    ],
    ids=lambda text: text[:24],
)
def test_what_can_not_be_is_refused_in_one_line(text: str, line: str) -> None:
    message = refusal(text)
    assert message.startswith(line)
    assert "\n" not in message and len(message) < 400


def test_the_faults_of_all_documents_are_told_at_once() -> None:
    lines = refusal(f"{SHOP}spec: {{x: 1}}\n---\n{SHOP}spec: {{y: 1}}\n").splitlines()
    assert [line.split(": ")[2] for line in lines] == ["spec.x", "spec.y"]


@pytest.mark.parametrize(
    "fields",
    [["spec"], ["metadata"], ["spec", "roles"], ["spec", "idleTimeout"], ["spec", "minCU"]],
    ids=".".join,
)
def test_aliases_of_aliases_fill_no_memory(fields: list[str]) -> None:
    """A few hundred bytes that would be a gigabyte, were they written out in the refusal."""
    place = "\n".join(f"{'  ' * depth}{field}:" for depth, field in enumerate(fields))
    text = f"{ALIASES_OF_ALIASES}kind: ServerlessDatabase\n{place} *i\n"
    assert len(refusal(text)) < 20_000


def test_an_alias_of_itself_is_refused() -> None:
    assert "file.yaml: " in refusal(f"{SHOP}spec: &s {{roles: [*s]}}")


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!|>'\"#,? \n\t0.5~"), max_size=60))
def test_any_text_is_resources_or_refused(text: str) -> None:
    try:
        parse_manifest(text, "file.yaml")
    except InvalidRequest as refused:
        assert all(line.startswith("file.yaml: ") for line in refused.message.splitlines())
