"""The report of a load, on a phone and at a desk: it is seen, and large enough to be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from browser import chromium
from browser.chromium import PHONE, Scheme
from browser.test_everyone import faults
from load.report import page as report_of
from support.load_result import result

LETTER_PIXELS_MIN = 9.0
"""Of the words in a plot."""


@pytest.fixture
def url(tmp_path: Path) -> str:
    (tmp_path / "report.html").write_text(report_of(result(error="the session was lost")))
    return (tmp_path / "report.html").as_uri()


def test_nothing_is_beside_the_window_but_in_what_moves(page: Page, url: str) -> None:
    page.goto(url)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    why = page.get_by_text("a session that is held hears of no sleep").bounding_box()
    window = page.viewport_size
    assert why is not None and window is not None
    assert why["x"] >= 0 and why["x"] + why["width"] <= window["width"]


def test_words_in_plots_can_be_read(page: Page, url: str) -> None:
    page.goto(url)
    heights = page.evaluate(
        "[...document.querySelectorAll('svg text')].map(t => t.getScreenCTM().d * "
        "parseFloat(getComputedStyle(t).fontSize))"
    )
    assert heights and min(heights) >= LETTER_PIXELS_MIN


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_no_fault(browser: Browser, url: str, scheme: Scheme) -> None:
    with chromium.opened(browser, PHONE, scheme) as context:
        page = context.new_page()
        page.goto(url)
        assert faults(page) == []
