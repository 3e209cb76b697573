"""The project's own files, as git knows them: what the tidy tests look at."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]

PACKAGE_FOLDERS = ("operator", "channel", "compute", "proxy", "autoscaler", "cli")
"""Each holds packages whose names begin with ``torpor_``."""


@functools.cache
def files() -> tuple[Path, ...]:
    """Everything tracked, and what is new and not ignored: it will be tracked soon."""
    # The checkout may belong to another user than the one who tests it, as in a container.
    git = ("git", "-c", "safe.directory=*", "-C", str(ROOT))
    listed = subprocess.run(
        [*git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    return tuple(sorted(ROOT / name for name in set(listed) - {""} if (ROOT / name).is_file()))


def files_named(*suffixes: str) -> list[Path]:
    """Those with one of the suffixes, like ``.py``."""
    return [path for path in files() if path.suffix in suffixes]


def shown(path: Path) -> str:
    """The path as a person would name it."""
    return str(path.relative_to(ROOT))


def module_of(path: Path) -> str:
    """The dotted name under which a file is imported: its folder's is left out."""
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
