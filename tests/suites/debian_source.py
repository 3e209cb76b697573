"""A source package of Debian's, through this machine's own apt and mirrors.

Nothing of the machine's apt is changed: sources, lists and packages lie in folders of the
download's own. The newest releases are in ``sid``, whatever the machine itself runs.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

SUITE = "sid"

ASK_SECONDS_MAX = 30.0


def commands(folder: Path, package: str) -> list[Sequence[str]]:
    """For each mirror that this machine's apt knows: read its lists, then bring the archive."""
    found: list[Sequence[str]] = []
    for number, mirror in enumerate(_mirrors()):
        own = folder / str(number)
        (own / "lists").mkdir(parents=True)
        (own / "sources.list").write_text(f"deb-src {mirror} {SUITE} main\n")
        apt = [
            "apt-get",
            "--quiet",
            *("-o", f"Dir::Etc::SourceList={own}/sources.list"),
            *("-o", "Dir::Etc::SourceParts=/dev/null"),
            *("-o", f"Dir::State::Lists={own}/lists"),
            *("-o", f"Dir::Cache={own}"),
            # As root apt would fetch as a user that can't reach these folders.
            *("-o", "APT::Sandbox::User="),
        ]
        found.append([*apt, "update"])
        found.append([*apt, "source", "--download-only", "--tar-only", package])
    return found


def _mirrors() -> list[str]:
    """Where this machine's apt has its packages from; none where it has no apt."""
    if shutil.which("apt-get") is None:
        return []
    ask = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(ask, capture_output=True, text=True, timeout=ASK_SECONDS_MAX)
    return list(dict.fromkeys(listed.stdout.split()))
