"""The databases of one side, as a file that every process of the load reads. It has passwords."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Target:
    """One database, as clients reach it."""

    name: str
    uri: str


def write(path: Path, targets: list[Target]) -> None:
    """Readable by nobody else."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump([asdict(target) for target in targets], file, indent=1)


def read(path: Path) -> list[Target]:
    """Raises OSError, and ValueError where it is no such file."""
    try:
        return [Target(**each) for each in json.loads(path.read_text())]
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is no list of {{name, uri}}: {error}") from None
