"""What pgbench says and what a status shows, counted."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

import bench_autoscale
from rig import sizes_seen
from rig.figures import Part
from rig.pgbench_run import Load, counted
from rig.sizes_seen import SizesSeen

SAID = """scaling factor: 5
number of transactions actually processed: 118934
number of failed transactions: 3 (0.003%)
latency average = 0.252 ms
"""


def test_what_was_answered_and_what_failed() -> None:
    assert counted(SAID, "") == Load(118934, 3)


def test_a_client_that_gave_up_has_failed_once() -> None:
    said = "pgbench: error: client 2 aborted in command 1 (SQL) of script 0; lost\n"
    assert counted(SAID, said + said.replace("client 2", "client 7")) == Load(118934, 5)


def test_without_a_count_there_is_nothing_to_compare() -> None:
    with pytest.raises(RuntimeError, match="connection refused"):
        counted("", "pgbench: error: connection refused")


SECONDS_MAX = 30.0


class Shown:
    """A status that is another one at each look."""

    def __init__(self, looks: Sequence[tuple[float | None, int]]) -> None:
        self._looks = list(looks)
        self.is_seen = threading.Event()

    def status(self) -> dict[str, Any]:
        if len(self._looks) == 1:
            self.is_seen.set()
            (cu, epoch) = self._looks[0]
        else:
            cu, epoch = self._looks.pop(0)
        return {"currentCU": cu, "epoch": epoch}


def seen(monkeypatch: pytest.MonkeyPatch, *looks: tuple[float | None, int]) -> SizesSeen:
    monkeypatch.setattr(sizes_seen, "LOOK_SECONDS", 0.001)
    shown = Shown(looks)
    with SizesSeen(shown) as found:  # type: ignore[arg-type]
        assert shown.is_seen.wait(SECONDS_MAX)
    return found


def test_a_size_that_follows_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(monkeypatch, (1, 4), (1, 4), (1.5, 4), (2, 4))
    assert (found.resizes, found.switchovers, found.last_cu) == (2, 0, 2)
    assert found.settled_s > 0 and not found.has_shrunk


def test_a_size_that_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(monkeypatch, (1, 4), (2, 4), (1.5, 4)).has_shrunk


def test_a_size_that_takes_another_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(monkeypatch, (1, 4), (None, 4), (2, 5))
    assert (found.resizes, found.switchovers) == (0, 1)


def test_a_size_that_stays_was_there_from_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(monkeypatch, (2, 4), (2, 4))
    assert (found.settled_s, found.resizes) == (0.0, 0)


def test_failed_statements_stand_by_themselves() -> None:
    parts = [Part(bench_autoscale.FAILED, "", (2.0,), (), "")]
    assert bench_autoscale.counts(parts) == {"failed_statements": 2}
