"""Lanes have nothing in common, and each worker of pytest has one of its own."""

from __future__ import annotations

import pytest

from e2e import lanes


def test_lanes_have_nothing_in_common() -> None:
    several = lanes.several(3, "run")
    for names in zip(*((one.release, one.namespace, one.served) for one in several), strict=True):
        assert len(set(names)) == len(several)
    assert [lane.has_crds for lane in several] == [True, False, False]


def test_the_first_is_the_shared_release_which_serves_less() -> None:
    first, _ = lanes.several(2, "run")
    assert (first.release, first.namespace) == (lanes.SHARED.release, lanes.SHARED.namespace)
    assert first.served and not lanes.SHARED.served


def test_each_worker_finds_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    several = lanes.several(2, "run")
    monkeypatch.setenv(lanes.VARIABLE, lanes.told(several)[lanes.VARIABLE])
    for number, lane in enumerate(several):
        monkeypatch.setenv(lanes.WORKER_VARIABLE, f"gw{number}")
        assert lanes.current() == lane
    monkeypatch.setenv(lanes.WORKER_VARIABLE, "gw2")
    with pytest.raises(LookupError, match="gw2 has no lane: TORPOR_E2E_LANES names 2"):
        lanes.current()


def test_without_lanes_all_use_the_shared_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(lanes.VARIABLE, raising=False)
    monkeypatch.setenv(lanes.WORKER_VARIABLE, "gw7")
    assert lanes.current() is lanes.SHARED
