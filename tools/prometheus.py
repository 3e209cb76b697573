"""Where Prometheus and promtool are; `make observe` brings both into .venv where there are none.

Only developers need them, to see that metrics, dashboard and alerts work. They come out of Debian's
package, which is not installed: that would start a service.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGE = "prometheus"

OWN = Path(sys.prefix) / "bin"

PROGRAMS = ("prometheus", "promtool")

COMMAND_SECONDS_MAX = 600.0
"""30 MB; package mirrors may be slow."""


def find(program: str) -> str | None:
    """The one on the PATH, else the one in the environment of this Python."""
    return shutil.which(program) or (str(OWN / program) if (OWN / program).exists() else None)


def obtain() -> str:
    """Why they can't be had; empty: they are there now."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return "this is no Debian: put prometheus and promtool on the PATH"
    with tempfile.TemporaryDirectory() as folder:
        if not _downloaded(folder):
            # The lists of packages may be old, or not there at all.
            if os.geteuid() == 0:
                _ran("apt-get", "update", folder=folder)
            if not _downloaded(folder):
                return "apt-get could not download prometheus: `sudo apt-get install prometheus`"
        (package,) = Path(folder).glob("*.deb")
        if not _ran("dpkg-deb", "--extract", str(package), "tree", folder=folder):
            return f"{package.name} can't be unpacked"
        for program in PROGRAMS:
            shutil.move(Path(folder, "tree/usr/bin", program), OWN / program)
    return ""


def _downloaded(folder: str) -> bool:
    return _ran(
        *("apt-get", "--quiet", "--quiet", "--option", "APT::Sandbox::User=root"),
        *("download", PACKAGE),
        folder=folder,
    )


def _ran(*argv: str, folder: str) -> bool:
    """What it prints goes to people, and not to who reads where the programs are."""
    done = subprocess.run(
        argv, cwd=folder, stdout=sys.stderr, timeout=COMMAND_SECONDS_MAX, check=False
    )
    return done.returncode == 0


if __name__ == "__main__":
    if any(find(program) is None for program in PROGRAMS):
        reason = obtain()
        if reason:
            # Whoever can't have them is told what is not tested; a build has to have them.
            print(f"observe: {reason}", file=sys.stderr)
            sys.exit(1 if os.environ.get("CI") else 0)
