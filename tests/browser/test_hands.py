"""What hands do: tap, hold, scroll, undo, go back; and what keys do instead."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import CDPSession, Locator, Page, expect

from browser.chromium import PHONE, Window
from browser.served import Served

HELD_MS = 600
"""As hold.js has it."""


class Finger:
    """Or a mouse, where the window has none."""

    def __init__(self, page: Page, window: Window) -> None:
        self._page = page
        self._touch: CDPSession | None = None
        if window.is_touched:
            self._touch = page.context.new_cdp_session(page)

    def down(self, on: Locator) -> None:
        on.scroll_into_view_if_needed()
        box = on.bounding_box()
        assert box is not None
        self._at = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self._send("touchStart", "mousePressed")

    def move(self, dy: float) -> None:
        self._at = (self._at[0], self._at[1] + dy)
        self._send("touchMove", "mouseMoved")

    def up(self) -> None:
        if self._touch is not None:
            self._touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        else:
            self._page.mouse.up()

    def _send(self, touch: str, mouse: str) -> None:
        x, y = self._at
        if self._touch is not None:
            points = [{"x": x, "y": y}]
            self._touch.send("Input.dispatchTouchEvent", {"type": touch, "touchPoints": points})
        else:
            self._page.mouse.move(x, y)
            if mouse == "mousePressed":
                self._page.mouse.down()


@pytest.fixture
def finger(opened: Page, window: Window) -> Finger:
    return Finger(opened, window)


def tile(page: Page, name: str) -> Locator:
    return page.locator(f'.tile[data-name="{name}"]')


def test_a_tile_that_is_held_falls_asleep_and_undo_wakes_it(
    opened: Page, finger: Finger, dashboard: Served
) -> None:
    page = opened
    finger.down(tile(page, "checkout"))
    expect(tile(page, "checkout")).to_have_class("tile held")
    expect(page.locator("#toast p")).to_have_text("checkout is asleep")
    finger.up()
    expect(tile(page, "checkout")).to_have_attribute("data-phase", "Suspended")
    page.get_by_role("button", name="Undo").click()
    expect(tile(page, "checkout")).to_have_attribute("data-phase", "Active")
    assert dashboard.fleet.asked == ["suspend checkout", "resume checkout"]
    assert not page.get_by_role("dialog").is_visible()


def test_a_sleeping_tile_that_is_held_wakes(
    opened: Page, finger: Finger, dashboard: Served
) -> None:
    finger.down(tile(opened, "search"))
    expect(opened.locator("#toast p")).to_have_text("search is awake")
    finger.up()
    assert dashboard.fleet.asked == ["resume search"]


def test_a_tap_opens_and_does_nothing_else(opened: Page, finger: Finger, dashboard: Served) -> None:
    tile(opened, "analytics").click()
    expect(opened.get_by_role("dialog", name="analytics")).to_be_visible()
    opened.wait_for_timeout(2 * HELD_MS)
    assert dashboard.fleet.asked == []


def test_a_finger_that_moves_holds_nothing(opened: Page, finger: Finger, dashboard: Served) -> None:
    # The page's time stands still until the finger has moved, however slow the machine is.
    opened.clock.install()
    opened.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    finger.down(tile(opened, "checkout"))
    for _ in range(5):
        finger.move(-8)
    opened.clock.run_for(2 * HELD_MS)
    finger.up()
    assert dashboard.fleet.asked == []


def test_a_finger_that_rests_holds(opened: Page, finger: Finger, dashboard: Served) -> None:
    opened.clock.install()
    opened.clock.pause_at(datetime.now(UTC) + timedelta(hours=1))
    finger.down(tile(opened, "checkout"))
    opened.clock.run_for(HELD_MS - 1)
    assert dashboard.fleet.asked == []
    opened.clock.run_for(1)
    expect(opened.locator("#toast")).to_be_visible()
    finger.up()


def test_one_that_may_not_sleep_says_why(opened: Page, finger: Finger) -> None:
    finger.down(tile(opened, "ledger"))
    expect(opened.locator("#toast")).to_contain_text("session 17 of app holds advisory lock 42")
    finger.up()
    expect(opened.get_by_role("button", name="Undo")).to_be_hidden()


def test_the_sheet_has_a_button_for_whoever_can_not_hold(opened: Page, dashboard: Served) -> None:
    page = opened
    tile(page, "analytics").click()
    sheet = page.get_by_role("dialog", name="analytics")
    sheet.get_by_role("button", name="Suspend").click()
    expect(sheet.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(sheet.get_by_role("button", name="Suspend")).to_be_visible()
    assert dashboard.fleet.asked == ["suspend analytics", "resume analytics"]


def test_the_way_back_closes_the_sheet(opened: Page) -> None:
    tile(opened, "analytics").click()
    expect(opened.get_by_role("dialog")).to_be_visible()
    opened.go_back()
    expect(opened.get_by_role("dialog")).to_be_hidden()
    opened.go_forward()
    expect(opened.get_by_role("dialog", name="analytics")).to_be_visible()
    opened.get_by_role("button", name="Close").click()
    expect(opened.get_by_role("dialog")).to_be_hidden()
    expect(opened).to_have_url(re.compile(r"/$"))


def test_back_and_forward_at_once_leave_the_sheet_open(opened: Page) -> None:
    """That the dialog has closed is heard of only when the way forward has opened it again."""
    tile(opened, "analytics").click()
    sheet = opened.get_by_role("dialog", name="analytics")
    expect(sheet).to_be_visible()
    opened.evaluate(
        """async () => {
            const sheet = document.querySelector("dialog[open]");
            const heard = new Promise((done) => sheet.addEventListener("close", done));
            for (const address of [location.pathname, location.hash]) {
                history.replaceState(history.state, "", address);
                dispatchEvent(new PopStateEvent("popstate"));
            }
            await heard;
        }"""
    )
    expect(sheet).to_be_visible()


def test_all_of_it_by_keys(opened: Page, dashboard: Served) -> None:
    page = opened
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(tile(page, "checkout")).to_be_focused()
    page.keyboard.press("ArrowRight")
    second = page.locator(".tile:focus").get_attribute("data-name")
    assert second != "checkout"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="checkout")).to_be_visible()
    page.keyboard.press("Escape")
    expect(tile(page, "checkout")).to_be_focused()
    page.keyboard.press("s")
    expect(page.locator("#toast p")).to_have_text("checkout is asleep")
    page.keyboard.press("u")
    expect(page.locator("#toast p")).to_have_text("checkout is awake")
    page.keyboard.press("End")
    last = page.locator(".tile:focus")
    expect(last).to_be_in_viewport()
    assert last.get_attribute("data-name") != "checkout"
    page.keyboard.press("Home")
    expect(page.locator(".tile").first).to_be_focused()
    assert dashboard.fleet.asked == ["suspend checkout", "resume checkout"]


def test_what_is_touched_is_large_enough(opened: Page, window: Window) -> None:
    """44 CSS pixels, as for a thumb; and it can be reached by one: the controls are below."""
    page = opened
    tile(page, "checkout").click()
    page.locator(".history button").first.wait_for()
    for button in page.locator("button:visible, input:visible, .tile").all():
        box = button.bounding_box()
        if box is None:
            continue
        assert min(box["width"], box["height"]) >= 44, button.evaluate("e => e.outerHTML")
    if window is PHONE:
        box = page.locator("#sheet .act").bounding_box()
        assert box is not None and box["y"] > window.height * 2 / 3
