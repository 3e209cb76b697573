"""Chromium, once for all tests, and a page for each that has to end without a complaint."""

from __future__ import annotations

import os
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from browser import chromium
from browser.chromium import DESK, PHONE, Window
from browser.served import Served, served
from support.made_up_fleet import MadeUpFleet

expect.set_options(timeout=chromium.WAIT_MS_MAX)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium.program()
    if path is None:
        lack = pytest.fail if os.environ.get("CI") else pytest.skip
        lack("no Chromium here: apt-get install chromium")
    with chromium.running(path) as started:
        yield started


@pytest.fixture(params=[PHONE, DESK], ids=lambda window: window.name)
def window(request: pytest.FixtureRequest) -> Window:
    chosen: Window = request.param
    return chosen


@pytest.fixture
def fleet() -> MadeUpFleet:
    return MadeUpFleet(60)


@pytest.fixture
def dashboard(fleet: MadeUpFleet) -> Iterator[Served]:
    with served(fleet) as running:
        yield running


@pytest.fixture
def page(browser: Browser, window: Window) -> Iterator[Page]:
    """Whatever it logs as an error, and whatever it loads from elsewhere, fails the test."""
    complaints: list[str] = []
    hosts: set[str] = set()
    with chromium.opened(browser, window) as context:
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda asked: hosts.add(urlsplit(asked.url).netloc))
        page.on("console", lambda said: complaints.extend(_complaint(said)))
        yield page
    assert complaints == []
    assert len(hosts) == 1


@pytest.fixture
def opened(page: Page, dashboard: Served) -> Page:
    """Let in, and live."""
    page.goto(dashboard.link())
    page.locator("#live[data-state=live]").wait_for()
    return page


def _complaint(said: ConsoleMessage) -> list[str]:
    """That a request was refused or not answered is told to the person, too."""
    is_one = said.type in ("error", "warning") and "Failed to load resource" not in said.text
    return [said.text] if is_one else []
