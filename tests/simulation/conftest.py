"""What holds in every storm."""

from __future__ import annotations

import pytest

from torpor_autoscaler.lifecycle import endpoints


@pytest.fixture(autouse=True)
def _one_database_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that whatever can happen to a proxy does between two pages, too."""
    monkeypatch.setattr(endpoints, "PAGE_BYTES_MAX", 1)
