"""`make crds`: writes the custom resources, or with ``--check`` says whether they are as made."""

from __future__ import annotations

import sys
from pathlib import Path

from crds.files import FOLDER, texts


def main() -> None:
    differing = [name for name, text in texts().items() if not _is(FOLDER / name, text)]
    if "--check" in sys.argv[1:]:
        if differing:
            sys.exit(f"{', '.join(differing)}: not as the models say; run `make crds`")
        return
    for name in differing:
        (FOLDER / name).write_text(texts()[name])
        print(f"wrote {FOLDER / name}")


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


main()
