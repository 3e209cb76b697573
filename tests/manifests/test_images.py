"""The images' recipe agrees with the project that it packs."""

from __future__ import annotations

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

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


def test_each_hears_that_it_is_to_end_while_it_starts() -> None:
    first = re.findall(r'^ENTRYPOINT \["([^"]+)", "--", ', RECIPE, re.M)
    assert first == ["/usr/bin/tini"] * len(images.COMPONENTS)


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


def which(*there: str) -> Callable[[str], str | None]:
    return lambda program: program if program in there else None


def test_images_are_loaded_by_what_the_context_says_of_its_cluster() -> None:
    everything = which("kind", "minikube", "k3s")
    assert images.loader("kind-dev", everything)[-2:] == ["--name", "dev"]
    assert images.loader("minikube", everything) == ["minikube", "image", "load"]
    assert images.loader("default", which("k3s"))[-3:] == ["ctr", "images", "import"]
    assert "k3s" in images.loader("", which("k3s"))


@pytest.mark.parametrize("context", ["gke-prod", "kind-dev", "default"])
def test_where_nobody_can_load_them_that_is_said(context: str) -> None:
    with pytest.raises(SystemExit, match=f"{context}.*image.registry"):
        images.loader(context, which())


@pytest.mark.parametrize("context", ["gke-prod", "arn:aws:eks:eu:1:cluster/prod"])
def test_a_minikube_that_is_not_the_context_gets_nothing(context: str) -> None:
    with pytest.raises(SystemExit):
        images.loader(context, which("kind", "minikube", "k3s"))


@pytest.mark.parametrize("builder", ["docker", "podman", "buildah"])
def test_an_image_is_saved_under_the_name_that_pods_ask_for(builder: str) -> None:
    command = images.saved(builder, "torpor/proxy:1", Path("/tmp/1.tar"))
    assert command[0] == builder
    name = "torpor/proxy:1" if builder == "docker" else "docker.io/torpor/proxy:1"
    assert any(part.endswith(name) for part in command[1:])
    assert not any("localhost" in part for part in command)


def test_all_are_built_before_the_first_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    monkeypatch.delenv(images.CLUSTER_TOOL, raising=False)
    monkeypatch.setattr(shutil, "which", lambda program: program)
    monkeypatch.setattr(images, "_current_context", lambda: "kind-dev")
    monkeypatch.setattr(images, "_run", lambda *argv: ran.append(" ".join(argv[:2])))
    images.main(["--tag", "1", "--load"])
    assert ran == ["docker build"] * 4 + ["docker save", "kind load"] * 4
