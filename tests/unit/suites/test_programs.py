"""Other people's programs end within their time, with everything that they have started."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from suites.programs import TookTooLong, watch
from support.up import until


def _run(code: str, folder: Path, seconds_max: float = 60.0) -> tuple[int, list[str]]:
    heard: list[str] = []
    argv = [sys.executable, "-c", code]
    status = watch(argv, environment={}, folder=folder, seconds_max=seconds_max, heard=heard.append)
    return status, heard


def test_output_is_heard_line_by_line_with_errors(tmp_path: Path) -> None:
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr); sys.exit(3)"
    assert _run(code, tmp_path) == (3, ["one", "two"])


def test_nothing_of_a_late_program_is_left(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "open('child', 'w').write(str(child.pid))\n"
        "time.sleep(600)\n"
    )
    with pytest.raises(TookTooLong, match="ended after"):
        _run(code, tmp_path, seconds_max=2.0)
    child = Path("/proc") / (tmp_path / "child").read_text()
    until(lambda: not child.exists() or _is_dead(child), "the child ends, too")


def _is_dead(process: Path) -> bool:
    try:
        return ") Z" in (process / "stat").read_text()
    except OSError:
        return True
