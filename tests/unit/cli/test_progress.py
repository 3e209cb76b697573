"""What is shown while something is waited for."""

from __future__ import annotations

import io
import time

import pytest

from torpor_cli import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_counts_seconds_and_is_left_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.001)
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    deadline = time.monotonic() + 10.0
    with progress.progress("moving shop"):
        while terminal.getvalue().count("\rmoving shop … 0 s") < 3:
            assert time.monotonic() < deadline
            time.sleep(0.001)
    assert terminal.getvalue().endswith("\r\033[K")


def test_its_line_ends_with_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    with pytest.raises(ValueError, match="it went wrong"), progress.progress("moving shop"):
        raise ValueError("it went wrong")
    shown = terminal.getvalue()
    assert shown.endswith("\033[K")


def test_elsewhere_it_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr("sys.stderr", file)
    with progress.progress("moving shop"):
        assert file.getvalue() == "moving shop …\n"
    assert file.getvalue() == "moving shop …\n"
