"""The images' recipe agrees with the project that it packs."""

from __future__ import annotations

import re
import tomllib

import pytest

import images
from tidy.tree import ROOT

RECIPE = (ROOT / "manifests/images/Dockerfile").read_text()

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

PINNED = dict(
    line.split("==")
    for line in (ROOT / "manifests/images/constraints.txt").read_text().splitlines()
    if not line.startswith("#")
)

USED_EXTRAS = {
    extra for line in re.findall(r"packages\.py ([a-z ]+)$", RECIPE, re.M) for extra in line.split()
}


def test_each_component_has_a_target() -> None:
    assert {f"AS {component}\n" in RECIPE for component in images.COMPONENTS} == {True}


def test_every_package_of_the_project_is_copied() -> None:
    packed = {f"{name}" for name in re.findall(r"^COPY (\w+) \1$", RECIPE, re.M)}
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    folders = {name.split("/")[0] for name in wheel["targets"]["wheel"]["packages"]}
    assert packed == folders


def test_what_a_build_sees_makes_the_tag() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    seen = {line.removeprefix("!") for line in ignore if line.startswith("!")}
    assert seen | {".dockerignore"} == set(images.SOURCES)


@pytest.mark.parametrize("extra", sorted(USED_EXTRAS))
def test_every_requirement_of_an_image_is_pinned(extra: str) -> None:
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]
    names = {re.split(r"[<>=\[;]", line)[0].lower() for line in wanted} - {"torpor"}
    assert names - set(PINNED) == set()


def test_the_tag_is_one_of_the_content(monkeypatch: pytest.MonkeyPatch) -> None:
    assert images.content_tag() == images.content_tag()
    whole = images.content_tag()
    monkeypatch.setattr(images, "SOURCES", images.SOURCES[:-1])
    assert images.content_tag() != whole
