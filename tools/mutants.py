"""Changes the autoscaler's decisions in thousands of small ways: how many do its tests notice?

    python tools/mutants.py [FILE...]

mutmut makes the mutants: a comparison the other way round, a number one larger, an argument left
out. Each is one that survives, where every test passes all the same, or is noticed. What is mutated
is a copy in ``.mutants``; there `mutmut results` and `mutmut show NAME` say more about each.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]

PLACE = ROOT / ".mutants"

PACKAGE = ROOT / "autoscaler/torpor_autoscaler"

CORE = "torpor_autoscaler/core"

TESTS = ROOT / "tests/unit/autoscaler/core"

MUTMUT = "mutmut>=3.8,<4"
"""Installed here, by who asks for it: nobody else needs its fifteen packages."""

AT_ONCE = os.cpu_count() or 1

EXAMPLES = 30
"""Of each property: a hundred find hardly more, and take three times as long."""

SETTINGS = """
[tool.pytest.ini_options]
addopts = "--import-mode=importlib --quiet"
pythonpath = ["."]
asyncio_default_fixture_loop_scope = "function"

[tool.mutmut]
source_paths = ["torpor_autoscaler"]
only_mutate = [{files}]
pytest_add_cli_args_test_selection = ["tests/core"]
use_git_change_detection = false
"""

CONFTEST = f"""
import hypothesis

hypothesis.settings.register_profile(
    "mutants", derandomize=True, deadline=None, max_examples={EXAMPLES}, database=None
)
hypothesis.settings.load_profile("mutants")
"""

NOTICED = ("killed", "timeout", "segfault", "caught_by_type_check")

SURVIVED = ("survived", "no_tests")


def prepare(files: list[str]) -> None:
    """A copy of the package and of the tests of its core, and nothing else."""
    shutil.rmtree(PLACE, ignore_errors=True)
    nothing_compiled = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, PLACE / PACKAGE.name, ignore=nothing_compiled)
    shutil.copytree(TESTS, PLACE / "tests/core", ignore=nothing_compiled)
    chosen = [f"{CORE}/{file}" for file in files] or [f"{CORE}/*"]
    settings = SETTINGS.format(files=", ".join(f'"{one}"' for one in chosen))
    (PLACE / "pyproject.toml").write_text(settings)
    (PLACE / "tests/conftest.py").write_text(CONFTEST)


def mutmut(*arguments: str) -> None:
    subprocess.run([Path(sys.executable).with_name("mutmut"), *arguments], cwd=PLACE, check=True)


def found() -> Counter[str]:
    """How many mutants came to which end."""
    mutmut("export-cicd-stats")
    told = json.loads((PLACE / "mutants/mutmut-cicd-stats.json").read_text())
    return Counter({name: int(told.get(name, 0)) for name in (*NOTICED, *SURVIVED)})


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="*", metavar="FILE", help="of the core, like size.py; all")
    files = parser.parse_args(arguments).files
    if unknown := [file for file in files if not (PACKAGE / "core" / file).is_file()]:
        there = sorted(path.name for path in (PACKAGE / "core").glob("*.py"))
        parser.error(f"{', '.join(unknown)}: there are {', '.join(there)}")
    install = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    subprocess.run([*install, MUTMUT], check=True)
    prepare(files)
    mutmut("run", "--max-children", str(AT_ONCE))
    ends = found()
    noticed, all_of_them = sum(ends[name] for name in NOTICED), ends.total()
    print(f"mutants: {noticed} of {all_of_them} are noticed: {noticed / all_of_them:.1%}")
    print(f"mutants: {ends['survived']} survive, {ends['no_tests']} are where no test comes by")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
