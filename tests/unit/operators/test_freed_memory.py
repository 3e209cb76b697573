"""What was freed is the operator's no more. In a process of its own: it holds for all of one."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

USED_AND_FREED = """
import resource
from pathlib import Path
from torpor_operator.adapters.freed_memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

bytearray(16 << 20)  # Freed at once: from then on glibc keeps 32 MiB.
before = resident()
pieces = [bytearray(50_000) for _ in range(200)]
stays = bytearray(50_000)
assert resident() - before > 9_000_000
del pieces
kept = resident() - before
give_back()
print(kept, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc, which keeps it")
def test_what_was_freed_goes_back() -> None:
    command = [sys.executable, "-c", USED_AND_FREED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    kept, left = map(int, done.stdout.split())
    assert left < 1_000_000 < 9_000_000 < kept
