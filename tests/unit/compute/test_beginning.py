"""The agent's first moment."""

from __future__ import annotations

import subprocess
import sys

BEGIN = """
import runpy, signal, sys

class Finder:
    def find_spec(self, name, path, target=None):
        if name == "torpor_compute.main":
            signal.raise_signal(signal.SIGTERM)

sys.meta_path.insert(0, Finder())
runpy.run_module("torpor_compute", run_name="__main__", alter_sys=True)
"""
"""It is told to end while it is imported."""

GO_ON = """
import gc, runpy, sys, types

def main(argv):
    return 0 if gc.isenabled() and gc.get_freeze_count() else "no garbage is collected"

sys.modules["torpor_compute.main"] = types.SimpleNamespace(main=main)
runpy.run_module("torpor_compute", run_name="__main__", alter_sys=True)
"""
"""It looks whether its collector was switched on again."""


def test_garbage_is_collected_from_when_all_is_imported() -> None:
    done = subprocess.run([sys.executable, "-c", GO_ON], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_it_can_be_told_to_end_from_its_first_moment_on() -> None:
    """Process 1 of a pod ignores what it has no handler for; others would die of the signal."""
    done = subprocess.run([sys.executable, "-c", BEGIN], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
