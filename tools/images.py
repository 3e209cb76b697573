"""Builds the four images, and brings them to a cluster's node where that can be done from here.

    python tools/images.py [--tag TAG] [--load] [COMPONENT...]
    python tools/images.py --print-tag

The tag is one of the content where none is given: the same sources have the same tag, so that a
cluster that has it needs nothing. What builds is the first of these that is there: the program that
TORPOR_CLUSTER_TOOL names (`TOOL image TAG FOLDER [OPTION...]` builds and loads), docker, podman,
buildah. What loads: that program, or kind. The tag is printed when everything is done.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

COMPONENTS = ("compute", "proxy", "autoscaler", "operator")

DOCKERFILE = ROOT / "manifests/images/Dockerfile"

SOURCES = (
    *("pyproject.toml", "README.md", "LICENSE", ".dockerignore", "manifests/images"),
    *("operator", "channel", "compute", "proxy", "autoscaler", "cli"),
)
"""What a build sees; ``.dockerignore`` says the same."""

CLUSTER_TOOL = "TORPOR_CLUSTER_TOOL"

TAG_LENGTH = 12
"""Hexadecimal digits: enough for the images of one machine, and short enough to be read."""


def content_tag() -> str:
    """Of everything that a build sees, and of nothing else."""
    digest = hashlib.sha256()
    for file in _files():
        content = file.read_bytes()
        digest.update(f"{file.relative_to(ROOT)} {len(content)}\0".encode() + content)
    return f"content-{digest.hexdigest()[:TAG_LENGTH]}"


def image(component: str, tag: str) -> str:
    return f"torpor/{component}:{tag}"


def _files() -> Iterator[Path]:
    for source in (ROOT / name for name in SOURCES):
        inside = sorted(source.rglob("*")) if source.is_dir() else [source]
        yield from (p for p in inside if p.is_file() and "__pycache__" not in p.parts)


def build(component: str, tag: str) -> str:
    """The name of what built it."""
    options = ["-f", str(DOCKERFILE), "--target", component]
    name = image(component, tag)
    if tool := os.environ.get(CLUSTER_TOOL):
        _run(tool, "image", name, str(ROOT), *options)
        return tool
    for program in ("docker", "podman", "buildah"):
        if shutil.which(program):
            _run(program, "build", *options, "-t", name, str(ROOT))
            return program
    raise SystemExit(
        f"nothing that builds images is here: install docker, podman or buildah, or set "
        f"{CLUSTER_TOOL}"
    )


def load(component: str, tag: str, builder: str) -> None:
    """To the node; whoever uses a registry pushes by himself."""
    if builder == os.environ.get(CLUSTER_TOOL):
        return  # It has done so.
    if not shutil.which("kind"):
        raise SystemExit(
            f"no kind to load {image(component, tag)} with: bring it to your cluster by its "
            "registry, or build without --load"
        )
    _run("kind", "load", "docker-image", image(component, tag))


def _run(*argv: str) -> None:
    """Its words go to the error stream: what this program prints is the tag."""
    subprocess.run(argv, check=True, stdout=sys.stderr)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("components", nargs="*", metavar="COMPONENT", help="all where none is")
    parser.add_argument("--tag", help="one of the content where this is left out")
    parser.add_argument("--load", action="store_true", help="bring them to the node as well")
    parser.add_argument("--print-tag", action="store_true", help="of the content; build nothing")
    given = parser.parse_args(arguments)
    if unknown := set(given.components) - set(COMPONENTS):
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(COMPONENTS)}")
    tag = given.tag or content_tag()
    for component in () if given.print_tag else given.components or COMPONENTS:
        builder = build(component, tag)
        if given.load:
            load(component, tag, builder)
    print(tag)


if __name__ == "__main__":
    main(sys.argv[1:])
