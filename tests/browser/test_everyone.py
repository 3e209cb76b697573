"""For whoever hears it, has few colours, wants no motion: by axe-core, and by the tree that screen
readers are given."""

from __future__ import annotations

import re
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from browser import chromium
from browser.chromium import PHONE, Scheme, Window
from browser.served import Served
from torpor_api.phases import Phase

RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


def faults(page: Page) -> list[str]:
    found: Any = Axe().run(page, options=RULES).response["violations"]
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:120]} {node['failureSummary'][:300]}"
        for rule in found
        for node in rule["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing(
    browser: Browser, window: Window, dashboard: Served, scheme: Scheme
) -> None:
    # Nothing moves: half-way through a fade every contrast is too small.
    with chromium.opened(browser, window, scheme, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(dashboard.link())
        page.locator("#live[data-state=live]").wait_for()
        assert faults(page) == []
        page.locator("#spotlight").click()
        page.locator(".bars").wait_for()
        assert faults(page) == []
        page.get_by_role("button", name="Suspend").click()
        page.get_by_role("button", name="Undo").wait_for()
        assert faults(page) == []
        context.clear_cookies()
        page.goto(dashboard.url)
        page.locator("#locked").wait_for()
        assert faults(page) == []


def test_a_tile_says_all_that_it_shows(opened: Page) -> None:
    tile = opened.get_by_role("gridcell", name="checkout, awake")
    size, sessions, wakes = r"[\d.]+\sCU", "3 sessions", "34 wakes in the last hour"
    words = rf"checkout, awake, {size}, {sessions}, {wakes}, the slowest took \d+\sms"
    expect(tile).to_have_accessible_name(re.compile(words))


def test_the_grid_is_a_grid_for_readers(opened: Page) -> None:
    grid = opened.get_by_role("grid", name="Databases")
    columns = int(grid.get_attribute("aria-colcount") or 0)
    second = grid.get_by_role("row").nth(1)
    expect(second).to_have_attribute("aria-rowindex", "2")
    expect(second.get_by_role("gridcell")).to_have_count(columns)
    assert opened.locator(".tile[tabindex='0']").count() == 1


def test_what_was_done_is_said(opened: Page) -> None:
    opened.locator("#spotlight").click()
    opened.get_by_role("button", name="Suspend").click()
    expect(opened.get_by_role("status").filter(has_text="checkout is asleep")).to_be_visible()


def test_phases_that_change_are_said_together(opened: Page, dashboard: Served) -> None:
    fleet = dashboard.fleet

    def wake() -> None:
        for name in list(fleet.rows)[-6:]:
            fleet.update(name, phase=Phase.RESUMING)

    dashboard.do(wake)
    expect(opened.locator("#said")).to_have_text("6 databases have changed their phase")


def test_no_phase_is_told_by_colour_alone(opened: Page) -> None:
    phases = {"Active", "Suspended", "Failed", "Resuming", "Suspending"}
    for phase in phases:
        glyph = opened.locator(f".tile[data-phase={phase}] use").first
        expect(glyph).to_have_attribute("href", f"#glyph-{phase}")


def test_nothing_moves_where_that_is_not_wanted(browser: Browser, dashboard: Served) -> None:
    with chromium.opened(browser, PHONE, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(dashboard.link())
        page.locator(".tile[data-phase=Resuming]").first.wait_for()
        page.locator("#spotlight").click()
        page.locator(".bars").wait_for()
        page.wait_for_function(
            "() => document.getAnimations().every(a => a.playState !== 'running')"
        )


def test_the_page_is_as_wide_as_the_window(opened: Page, window: Window) -> None:
    assert opened.evaluate("() => document.documentElement.scrollWidth") == window.width
    opened.locator("#spotlight").click()
    opened.locator(".bars").wait_for()
    assert opened.evaluate("() => document.querySelector('.story').scrollWidth") <= window.width


def test_no_tile_covers_another(opened: Page) -> None:
    boxes = [tile.bounding_box() for tile in opened.locator(".tile").all()[:12]]
    edges = sorted((box["y"], box["y"] + box["height"]) for box in boxes if box is not None)
    below = [next for next in edges if next[0] > edges[0][0]]
    assert len(edges) == 12 and all(end < below[0][0] for y, end in edges if y == edges[0][0])


def test_larger_letters_hide_nothing(browser: Browser, dashboard: Served) -> None:
    """At twice the size, as a phone's settings make them, nothing is cut off at the side."""
    with chromium.opened(browser, PHONE) as context:
        page = context.new_page()
        page.goto(dashboard.link())
        page.locator("#live[data-state=live]").wait_for()
        page.evaluate("() => document.documentElement.style.setProperty('zoom', '2')")
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth * 1.02")
