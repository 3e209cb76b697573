"""The machine's own Chromium, and windows as large as a phone's and a desk's."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from playwright.sync_api import Browser, BrowserContext, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

WAIT_MS_MAX = 20_000.0
"""For what has to come; on a starved machine it takes seconds."""

Scheme = Literal["dark", "light"]


@dataclass(frozen=True, slots=True)
class Window:
    name: str
    width: int
    height: int
    is_touched: bool
    """With fingers; else there is a mouse."""


PHONE = Window("phone", 390, 844, True)
DESK = Window("desk", 1280, 800, False)


def program() -> str | None:
    return next((found for name in PROGRAMS if (found := shutil.which(name))), None)


@contextlib.contextmanager
def running(path: str) -> Iterator[Browser]:
    """Without its sandbox for root, who may not have one; it loads our own page only."""
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=options)
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(
    browser: Browser, window: Window, scheme: Scheme = "dark", **options: Any
) -> Iterator[BrowserContext]:
    context = browser.new_context(
        viewport={"width": window.width, "height": window.height},
        has_touch=window.is_touched,
        is_mobile=window.is_touched,
        device_scale_factor=2,
        color_scheme=scheme,
        locale="en-GB",
        timezone_id="UTC",
        **options,
    )
    context.set_default_timeout(WAIT_MS_MAX)
    yield context
    context.close()
