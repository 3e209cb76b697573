"""The pictures of docs/dashboard.md, of a made-up fleet: `make screenshots`.

The same code makes the same pictures but for the time of day: what is told as "ago" is held still.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page

from browser import chromium
from browser.chromium import DESK, PHONE, Scheme, Window
from browser.served import Served, served
from support.made_up_fleet import MadeUpFleet

FOLDER = Path(__file__).parents[2] / "docs/dashboard"

COUNT = 10_000

Scene = Callable[[Page], None]


def fleet(page: Page) -> None:
    page.locator(".tile").first.wait_for()


def story(page: Page) -> None:
    page.locator("#spotlight").click()
    page.locator(".bars").wait_for()


def sessions(page: Page) -> None:
    page.get_by_role("searchbox").fill("ledger")
    page.locator(".tile[data-name=ledger]").click()
    page.locator(".sessions li").first.scroll_into_view_if_needed()


def undo(page: Page) -> None:
    page.locator(".tile[data-name=checkout]").focus()
    page.keyboard.press("s")
    page.get_by_role("button", name="Undo").wait_for()
    page.locator("#toast[data-state=done]").wait_for()


PICTURES: tuple[tuple[str, Window, Scheme, Scene], ...] = (
    ("phone-dark", PHONE, "dark", fleet),
    ("phone-light", PHONE, "light", fleet),
    ("phone-story", PHONE, "dark", story),
    ("phone-sessions", PHONE, "light", sessions),
    ("desk-dark", DESK, "dark", story),
    ("desk-light", DESK, "light", fleet),
    ("phone-undo", PHONE, "dark", undo),
)


def main() -> int:
    path = chromium.program()
    if path is None:
        print("screenshots: no Chromium here: apt-get install chromium", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with served(MadeUpFleet(COUNT)) as dashboard, chromium.running(path) as browser:
        for name, window, scheme, scene in PICTURES:
            _take(browser, dashboard, name, window, scheme, scene)
            print(f"docs/dashboard/{name}.png")
    return 0


def _take(
    browser: Browser, dashboard: Served, name: str, window: Window, scheme: Scheme, scene: Scene
) -> None:
    with chromium.opened(browser, window, scheme, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto(dashboard.link())
        page.locator("#live[data-state=live]").wait_for()
        scene(page)
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    sys.exit(main())
