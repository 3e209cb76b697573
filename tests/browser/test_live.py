"""The page follows what happens, and finds its way back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from browser.served import Served, served
from support.made_up_fleet import MadeUpFleet
from support.ports import free_address
from torpor_api.phases import Phase
from torpor_autoscaler.dashboard.live import BEAT_S
from torpor_autoscaler.settings import OfDashboard

BEAT_MS = 1000 * BEAT_S


def test_tiles_follow_by_themselves(opened: Page, dashboard: Served) -> None:
    fleet = dashboard.fleet
    tile = opened.locator('.tile[data-name="checkout"]')
    dashboard.do(lambda: fleet.update("checkout", phase=Phase.FAILED, wakes_last_hour=35))
    expect(tile).to_have_attribute("data-phase", "Failed")
    expect(tile).to_have_attribute("aria-label", re.compile("checkout, failed, .*35 wakes"))
    dashboard.do(lambda: fleet.remove("checkout"))
    expect(tile).to_have_count(0)
    expect(opened.locator("#spotlight")).not_to_contain_text("checkout")


def test_a_page_that_nobody_sees_asks_for_nothing(opened: Page, dashboard: Served) -> None:
    fleet, tile = dashboard.fleet, opened.locator('.tile[data-name="checkout"]')
    _seen(opened, False)
    dashboard.do(lambda: fleet.update("checkout", phase=Phase.FAILED))
    opened.wait_for_timeout(3 * BEAT_MS)
    expect(tile).to_have_attribute("data-phase", "Active")
    _seen(opened, True)
    expect(tile).to_have_attribute("data-phase", "Failed")


def _seen(page: Page, is_seen: bool) -> None:
    """As if its tab had come to the front, or gone behind another."""
    page.evaluate(
        """is_seen => {
          Object.defineProperty(document, "hidden", { value: !is_seen, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_seen,
    )


def test_an_open_sheet_follows_too(opened: Page, dashboard: Served) -> None:
    fleet = dashboard.fleet
    opened.locator('.tile[data-name="analytics"]').click()
    sheet = opened.get_by_role("dialog", name="analytics")
    sheet.locator(".sessions").wait_for()
    dashboard.do(lambda: fleet.update("analytics", sessions=7))
    expect(sheet.locator(".sessions li")).to_have_count(7)
    dashboard.do(lambda: fleet.remove("analytics"))
    expect(sheet).to_be_hidden()


def test_a_sheet_never_says_why_it_is_awake_below_asleep(opened: Page, dashboard: Served) -> None:
    """The phase is told by the fleet's stream, reasons by an answer that may come long after it."""
    fleet = dashboard.fleet
    opened.locator('.tile[data-name="analytics"]').click()
    sheet = opened.get_by_role("dialog", name="analytics")
    why = sheet.get_by_role("heading", name="Why it is awake")
    expect(why).to_be_visible()
    expect(sheet).to_contain_text("it sleeps after 5s")
    opened.route("**/api/databases/analytics", lambda route: None)  # No answer comes any more.
    dashboard.do(lambda: fleet.update("analytics", phase=Phase.SUSPENDED))
    expect(sheet.locator(".facts")).to_contain_text("asleep")
    assert why.is_hidden() and "it sleeps after 5s" not in sheet.inner_text()
    dashboard.do(lambda: fleet.update("analytics", phase=Phase.RESUMING))
    expect(sheet.locator(".facts")).to_contain_text("waking")
    assert why.is_visible() and "it sleeps after 5s" not in sheet.inner_text()


def test_reasons_that_come_ahead_of_their_phase_wait_for_it(opened: Page) -> None:
    def asleep_already(route: Route) -> None:
        story = route.fetch().json()
        route.fulfill(json=story | {"reasons": ["no disk"], "reasons_phase": "Suspended"})

    opened.route("**/api/databases/analytics", asleep_already)
    opened.locator('.tile[data-name="analytics"]').click()
    sheet = opened.get_by_role("dialog", name="analytics")
    expect(sheet.locator(".sessions li")).not_to_have_count(0)  # It has been told.
    expect(sheet.locator(".facts")).to_contain_text("awake")
    why = sheet.locator("section").filter(has_text="Why it is awake")
    expect(why).to_contain_text("Asking…")
    assert "no disk" not in sheet.inner_text()


def test_whoever_came_first_comes_first(opened: Page, dashboard: Served) -> None:
    fleet = dashboard.fleet
    first = opened.locator(".tile").first
    expect(first).to_have_attribute("data-name", "checkout")
    dashboard.do(lambda: fleet.update("wiki", wakes_last_hour=90))
    expect(first).to_have_attribute("data-name", "wiki")
    expect(opened.locator("#spotlight")).to_contain_text("wiki")


def test_no_tile_changes_its_place_under_a_finger(opened: Page, dashboard: Served) -> None:
    fleet, first = dashboard.fleet, opened.locator(".tile").first
    dashboard.do(lambda: fleet.update("wiki", wakes_last_hour=90))
    expect(opened.locator("#spotlight")).to_contain_text("wiki")
    for _ in range(8):
        opened.mouse.move(100, 400)
        opened.mouse.move(101, 400)
        opened.wait_for_timeout(500)
        assert first.get_attribute("data-name") == "checkout"


def test_the_summary_is_of_all(opened: Page, dashboard: Served) -> None:
    rows = list(dashboard.fleet.rows.values())
    asleep = sum(row.phase is Phase.SUSPENDED for row in rows)
    wakes = sum(row.wakes_last_hour for row in rows)
    expect(opened.locator("[data-figure=asleep] dd")).to_have_text(str(asleep))
    expect(opened.locator("[data-figure=wakes] dd")).to_have_text(str(wakes))


@pytest.mark.parametrize("is_known", [True, False], ids=["known", "forgotten"])
def test_it_comes_again_when_torpor_does(page: Page, is_known: bool, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("one" * 11)
    wanted = OfDashboard(free_address(), key)
    fleet = MadeUpFleet(30)
    with served(fleet, wanted) as first:
        page.goto(first.link())
        page.locator("#live[data-state=live]").wait_for()
    page.locator("#live[data-state=waiting]").wait_for()
    if not is_known:
        key.write_text("another" * 5)
    fleet.rows["checkout"] = fleet.rows["checkout"].model_copy(update={"wakes_last_hour": 77})
    with served(fleet, wanted):
        if is_known:
            page.locator("#live[data-state=live]").wait_for()
            expect(page.locator("#spotlight")).to_contain_text("77 wakes")
        else:
            expect(page.locator("#locked")).to_be_visible()


def test_a_stranger_is_told_how_to_come_in(page: Page, dashboard: Served) -> None:
    page.goto(dashboard.url)
    expect(page.locator("#locked")).to_contain_text("torpor dashboard")
    page.get_by_label("Or paste the link").fill(f"{dashboard.url}#enter=wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#locked [role=alert]")).to_contain_text("used up or too old")
    page.get_by_label("Or paste the link").fill(dashboard.link())
    page.get_by_role("button", name="Open").click()
    page.locator("#live[data-state=live]").wait_for()
    expect(page.locator("#locked")).to_be_hidden()


def test_the_link_leaves_the_address_and_opens_nobody_else(page: Page, dashboard: Served) -> None:
    link = dashboard.link()
    page.goto(link)
    page.locator("#live[data-state=live]").wait_for()
    assert page.url == dashboard.url
    page.goto(dashboard.url)
    page.locator("#live[data-state=live]").wait_for()
    page.context.clear_cookies()
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator("#locked [role=alert]")).to_contain_text("used up or too old")
