"""Fills an image's /opt/torpor: what the named extras need, or with ``--wheel`` the project itself.

In two layers, so that a change of the code makes a small one anew. Runs inside a build,
from the folder that has pyproject.toml, with nothing but the standard library and pip.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

TARGET = Path("/opt/torpor")

CONSTRAINTS = Path(__file__).with_name("constraints.txt")

OWN_EXTRAS = re.compile(r"torpor\[(?P<names>[\w,]+)\]")


def main(arguments: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(TARGET)], check=True)
    if arguments[0] == "--wheel":
        wheels = [str(wheel) for wheel in Path(arguments[1]).glob("*.whl")]
        pip("install", "--no-deps", *wheels)
        return
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + requirements(project["optional-dependencies"], arguments)
    pip("install", "--only-binary", ":all:", "--constraint", str(CONSTRAINTS), *wanted)


def requirements(extras: dict[str, list[str]], names: list[str]) -> list[str]:
    """Of these extras; one that names another of the project's own brings what that one needs."""
    found: list[str] = []
    for line in (line for name in names for line in extras[name]):
        own = OWN_EXTRAS.fullmatch(line)
        found += requirements(extras, own["names"].split(",")) if own else [line]
    return found


def pip(command: str, *arguments: str) -> None:
    """With the builder's pip, into the other environment, which has none and keeps none."""
    options = [
        "--quiet",
        "--no-cache-dir",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
    ]
    pip = [sys.executable, "-m", "pip", "--python", str(TARGET / "bin/python")]
    subprocess.run([*pip, command, *options, *arguments], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
