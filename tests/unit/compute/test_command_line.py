"""What others see of this process's command line."""

from __future__ import annotations

import subprocess
import sys

SHOWS = """
import sys
from pathlib import Path
from torpor_compute.adapters import command_line
command_line.show(sys.argv[1:][:-1])
sys.stdout.buffer.write(Path("/proc/self/cmdline").read_bytes())
"""


def shown(*words: str, room: int) -> bytes:
    argv = [sys.executable, "-c", SHOWS, *words, "-" * room]
    return subprocess.run(argv, capture_output=True, check=True, timeout=60).stdout


def test_the_words_and_nothing_of_what_was_there() -> None:
    assert shown("one", "two words", "", room=0).rstrip(b"\0") == b"one\0two words"
    assert b"import" not in shown("one", room=0)


def test_what_has_no_room_is_cut_off_and_nothing_behind_it_is_touched() -> None:
    # The environment follows: a text without an end would go on with it.
    text = shown("x" * 5000, room=0)
    assert text == b"x" * 5000 + b"\0" * (len(text) - 5000)
