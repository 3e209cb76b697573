"""Builds the four images, and brings them to a cluster's node where that can be done from here.

    python tools/images.py [--tag TAG] [--load] [COMPONENT...]
    python tools/images.py --print-tag

The tag is one of the content where none is given: the same sources have the same tag, so that a
cluster that has it needs nothing. What builds is the first of these that is there: the program that
TORPOR_CLUSTER_TOOL names (`TOOL image TAG FOLDER [OPTION...]` builds and loads), docker, podman,
buildah. All are built, and then all are loaded: by that program, or by what the current context of
kubectl says of its cluster: `kind-NAME`, `minikube`, or `default`, which is a k3s on this machine.
The tag is printed when everything is done.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]

COMPONENTS = ("proxy", "compute", "autoscaler", "operator")
"""In the order of their builds. The first is alone and makes the layers that all share: the proxy
has the least of its own. The compute has the most, with Postgres, and is built beside the rest."""

DOCKERFILE = ROOT / "manifests/images/Dockerfile"

SOURCES = (
    *("pyproject.toml", "README.md", "LICENSE", ".dockerignore", "manifests/images"),
    *("operator", "channel", "compute", "proxy", "autoscaler", "cli"),
)
"""What a build sees; ``.dockerignore`` says the same."""

CLUSTER_TOOL = "TORPOR_CLUSTER_TOOL"

AT_ONCE = 2
"""Images that are built at a time: each waits for packages and disks as long as it computes."""

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
            full = name if program == "docker" else f"docker.io/{name}"
            _run(program, "build", *options, "-t", full, str(ROOT))
            return program
    raise SystemExit(
        f"nothing that builds images is here: install docker, podman or buildah, or set "
        f"{CLUSTER_TOOL}"
    )


def _build_all(components: Sequence[str], tag: str) -> list[str]:
    """What built each."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        first = [build(component, tag) for component in components[:1]]
        return first + list(threads.map(lambda component: build(component, tag), components[1:]))


def load(names: Sequence[str], builder: str) -> None:
    """To the node; whoever uses a registry pushes by himself."""
    if builder == os.environ.get(CLUSTER_TOOL):
        return  # It has done so.
    command = loader(_current_context(), shutil.which)
    with tempfile.TemporaryDirectory() as folder:
        for number, name in enumerate(names):
            archive = Path(folder) / f"{number}.tar"
            _run(*saved(builder, name, archive))
            _run(*command, str(archive))


def saved(builder: str, name: str, archive: Path) -> list[str]:
    """What writes an image to a file, under the name that pods ask for: podman and buildah put a
    host before one that has none."""
    full = f"docker.io/{name}"
    match builder:
        case "docker":
            return ["docker", "save", "-o", str(archive), name]
        case "podman":
            return ["podman", "save", "--format", "docker-archive", "-o", str(archive), full]
        case _:
            return ["buildah", "push", full, f"docker-archive:{archive}:{full}"]


def loader(context: str, which: Callable[[str], str | None]) -> list[str]:
    """What loads a file of an image into the cluster of this context."""
    if context.startswith("kind-") and which("kind"):
        return ["kind", "load", "image-archive", "--name", context.removeprefix("kind-")]
    if context == "minikube" and which("minikube"):
        return ["minikube", "image", "load"]
    if context in ("default", "") and which("k3s"):
        as_root = [] if os.geteuid() == 0 else ["sudo"]
        return [*as_root, "k3s", "ctr", "images", "import"]
    raise SystemExit(
        f"nobody loads images into the cluster of the context {context!r} from here: this program "
        "knows kind (a context `kind-NAME`), `minikube`, and a k3s of this machine (`default`). "
        "Push the images to a registry and install with image.registry"
    )


def _current_context() -> str:
    """Empty where there is none: k3s brings a kubectl with a configuration of its own."""
    if not shutil.which("kubectl"):
        return ""
    asked = ["kubectl", "config", "current-context"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


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
    components = () if given.print_tag else given.components or COMPONENTS
    builders = _build_all(components, tag)
    if given.load and builders:
        load([image(component, tag) for component in components], builders[0])
    print(tag)


if __name__ == "__main__":
    main(sys.argv[1:])
