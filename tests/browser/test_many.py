"""Ten thousand databases are no heavier than fifty: the document has those in sight alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from support.made_up_fleet import MadeUpFleet

COUNT = 10_000

DRAWN_MAX = 400
"""Tiles: what is in sight, and some rows beyond."""


@pytest.fixture
def fleet() -> MadeUpFleet:
    return MadeUpFleet(COUNT)


def drawn(page: Page) -> int:
    found: int = page.locator(".tile").count()
    return found


def test_all_are_there_and_few_are_drawn(opened: Page) -> None:
    page = opened
    asleep = int(page.locator("[data-figure=asleep] dd").inner_text().replace(",", ""))
    assert asleep > 9_000
    assert drawn(page) < DRAWN_MAX
    grid = page.get_by_role("grid", name="Databases")
    lines = int(grid.get_attribute("aria-rowcount") or 0)
    columns = int(grid.get_attribute("aria-colcount") or 0)
    assert (lines - 1) * columns < COUNT <= lines * columns


def test_the_last_one_is_one_key_away(opened: Page) -> None:
    page = opened
    page.get_by_role("radio", name="Name").click()
    page.keyboard.press("/")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    expect(page.locator(".tile:focus")).to_have_attribute("data-name", "wiki")
    expect(page.locator(".tile:focus")).to_be_in_viewport()
    page.keyboard.press("PageUp")
    assert drawn(page) < DRAWN_MAX


def test_scrolling_draws_what_comes_in_sight(opened: Page) -> None:
    page = opened
    page.get_by_role("radio", name="Name").click()
    for share in (0.3, 0.9, 0.5):
        page.evaluate("share => scrollTo(0, document.body.scrollHeight * share)", share)
        # Two points, as one of them may be between two tiles.
        middle = page.wait_for_function(
            """() => [0.45, 0.5]
              .map((y) => document.elementFromPoint(innerWidth / 3, innerHeight * y))
              .map((element) => element?.closest(".tile")?.dataset.name)
              .find(Boolean)"""
        )
        assert str(middle.json_value()).startswith("customer-")
        assert drawn(page) < DRAWN_MAX


def test_one_of_them_is_found_by_its_name(opened: Page) -> None:
    opened.get_by_role("searchbox").fill("customer-09876")
    expect(opened.locator(".tile")).to_have_count(1)
    opened.locator(".tile").click()
    expect(opened.get_by_role("dialog", name="customer-09876")).to_be_visible()


def test_a_change_costs_less_than_all_of_it(opened: Page) -> None:
    """A ratio on the same machine: a change of one is not a redraw of ten thousand."""
    page = opened
    spent = page.evaluate(
        """async () => {
          const { Fleet } = await import("./fleet.js");
          const whole = await (await import("./api.js")).fleet();
          const fleet = new Fleet();
          const timed = (what) => {
            const at = performance.now();
            what();
            return performance.now() - at;
          };
          const begun = timed(() => { fleet.begin(whole); fleet.found("", "wakes"); });
          const least = Math.min(...Array.from({ length: 20 }, () =>
            timed(() => fleet.change({ tiles: [whole.tiles[5]], gone: [] }))));
          return { begun, least };
        }"""
    )
    assert spent["least"] < spent["begun"] / 10
