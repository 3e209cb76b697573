"""Torpor at work under two Prometheus servers, one of which reads native histograms."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kustomize_base import CHART
from observe.server import Server, scraping
from observe.stage import Stage, play, set_up
from prometheus import PROGRAMS, find
from support.up import until

RULES = CHART / "files/observe/alerts.yaml"

UP_SECONDS_MAX = 60.0


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [program for program in PROGRAMS if find(program) is None]
    if missing and not os.environ.get("CI"):
        reason = f"no {' and no '.join(missing)}: `make observe` brings them"
        for item in items:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with set_up(tmp_path_factory.mktemp("stage")) as made:
        yield made


@pytest.fixture(scope="session")
def servers(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    """Both have seen the play from before its beginning."""
    folder: Path = tmp_path_factory.mktemp("prometheus")
    with (
        scraping(folder / "native", stage.jobs, RULES, is_native=True) as native,
        scraping(folder / "classic", stage.jobs, RULES, is_native=False) as classic,
    ):
        both = [native, classic]
        for server in both:
            reason = f"all of {stage.jobs} are scraped"
            until(lambda s=server: s.are_up(len(stage.jobs)), reason, UP_SECONDS_MAX)  # type: ignore[misc]
        play(stage.up)
        yield both


@pytest.fixture(scope="session", params=["native", "classic"])
def server(request: pytest.FixtureRequest, servers: list[Server]) -> Server:
    (chosen,) = (one for one in servers if one.is_native == (request.param == "native"))
    return chosen
