"""The whole of it: a real `torpor up` with real databases, and the link that it prints."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.chromium import PHONE
from support.up import Up, running_up


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with running_up("--no-limits", "--dashboard", "127.0.0.1:0") as started:
        yield started


@pytest.fixture
def window() -> object:
    return PHONE


def link(up: Up) -> str:
    argv = [sys.executable, "-m", "torpor_cli.main", "dashboard", "-o", "json"]
    told = subprocess.run(
        [*argv, "--state", str(up.folder.root)], check=True, capture_output=True, text=True
    )
    url: str = json.loads(told.stdout)["url"]
    return url


def test_what_torpor_up_prints_opens_the_dashboard(page: Page, up: Up) -> None:
    printed = re.search(r"dashboard: +(http://\S+)", up.output)
    assert printed is not None
    page.goto(printed[1])
    page.locator("#live[data-state=live]").wait_for()


def test_who_woke_most_often_and_why_the_last_wake_took_its_time(page: Page, up: Up) -> None:
    restless, other = up.database(), up.database()
    for _ in range(2):
        restless.fall_asleep()
        restless.wake()
    page.goto(link(up))
    most = page.get_by_role("button", name="Woke most often in the last hour")
    expect(most).to_contain_text(restless.name)
    expect(most).to_contain_text("3 wakes")
    most.click()
    sheet = page.get_by_role("dialog", name=restless.name)
    expect(sheet.locator(".reason")).to_contain_text(re.compile(r"Most of it was .+ \(\w+\), \d"))
    expect(sheet.locator(".bars")).to_contain_text("postgres")
    sheet.get_by_role("button", name="Suspend").click()
    expect(page.locator("#toast p")).to_have_text(f"{restless.name} is asleep")
    assert restless.is_asleep and not other.is_asleep
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#toast p")).to_have_text(f"{restless.name} is awake")
    assert not restless.is_asleep


def test_its_key_is_for_its_owner_alone(up: Up) -> None:
    assert up.folder.dashboard_key.stat().st_mode & 0o777 == 0o600
