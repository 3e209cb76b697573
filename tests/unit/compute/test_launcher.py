"""The process that becomes Postgres, before it does."""

from __future__ import annotations

import signal
import subprocess
import sys

from torpor_compute.adapters import launcher


def test_it_can_be_ended_though_a_shell_had_it_ignore_that() -> None:
    """As `torpor up &` in a script does; and an ignored signal stays ignored after exec."""
    argv = ["env", "--ignore-signal=QUIT", sys.executable, "-I", "-S", launcher.__file__]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"warm\n"
        process.send_signal(signal.SIGQUIT)
        assert process.wait(30) == -signal.SIGQUIT


def test_it_imports_little() -> None:
    """After a death of Postgres all clients wait until it is warm; these three cost the most."""
    argv = [sys.executable, "-I", "-S", "-X", "importtime", launcher.__file__]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "ctypes" in imported and not imported & {"enum", "json", "typing"}
