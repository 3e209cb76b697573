"""What a person without a manual wants to know, and how far away the answer is."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from browser.served import Served


def test_who_woke_most_often_and_why_the_last_wake_took_its_time(opened: Page) -> None:
    """One look and one touch."""
    page = opened
    most = page.get_by_role("button", name="Woke most often in the last hour")
    expect(most).to_be_in_viewport(ratio=1)
    expect(most).to_contain_text("checkout")
    expect(most).to_contain_text("34 wakes")
    most.click()
    sheet = page.get_by_role("dialog", name="checkout")
    expect(sheet).to_be_visible()
    expect(sheet.locator(".total")).to_have_text("183 ms")
    reason = sheet.locator(".reason")
    expect(reason).to_be_in_viewport(ratio=1)
    expect(reason).to_contain_text("Most of it was crash recovery (postgres), 119 ms or 65 %")
    expect(sheet.locator(".cause")).to_contain_text("checkout-api")


def test_where_not_all_wakes_of_the_hour_are_known_it_says_so(
    opened: Page, dashboard: Served
) -> None:
    page, fleet = opened, dashboard.fleet
    since = "2027-01-01T14:03:00Z"
    clock = page.evaluate("at => new Date(at).toTimeString().slice(0, 5)", since)
    dashboard.do(lambda: fleet.update("checkout", wakes_known_since=since))
    most = page.locator("#spotlight")
    expect(most).to_contain_text("Woke most often in the last hour, as far as is known")
    expect(most).to_contain_text(f"34 wakes since {clock}")
    expect(page.locator("[data-figure=wakes] dd")).to_have_text(re.compile(r"\d\+$"))
    tile = page.locator('.tile[data-name="checkout"]')
    expect(tile).to_contain_text("34+ wakes")
    expect(tile).to_have_attribute("aria-label", re.compile(f"34 wakes since {clock}"))
    most.click()
    expect(page.get_by_role("dialog", name="checkout").locator(".facts")).to_contain_text(
        f"34 wakes since {clock}"
    )


def test_a_wake_took_as_long_on_its_card_as_in_its_story(opened: Page, dashboard: Served) -> None:
    took = {"last_wake_ms": 220.483, "slowest_wake_ms": 400.0}
    dashboard.do(lambda: dashboard.fleet.update("checkout", **took))
    card = opened.locator("#spotlight")
    expect(card).to_contain_text("the last took 220 ms")
    card.click()
    expect(opened.get_by_role("dialog", name="checkout").locator(".total")).to_have_text("220 ms")


def test_the_chain_shows_what_held_it_up_and_what_had_time_to_spare(opened: Page) -> None:
    page = opened
    page.locator("#spotlight").click()
    steps = page.locator(".bars > li")
    recovery = steps.filter(has_text="crash recovery")
    expect(recovery).to_have_class(re.compile("critical"))
    expect(recovery).to_contain_text("held it up")
    spare = steps.filter(has_text="proxy-1")
    expect(spare).to_have_class(re.compile("spare"))
    expect(spare).to_contain_text("could have taken")
    bar = recovery.locator(".bar").bounding_box()
    track = recovery.locator(".track").bounding_box()
    assert bar and track and 0.6 < bar["width"] / track["width"] < 0.7


def test_an_earlier_transition_takes_the_place_of_the_last_wake(opened: Page) -> None:
    page = opened
    page.locator("#spotlight").click()
    page.locator(".history button").filter(has_text="Sleep").first.click()
    expect(page.locator(".transition h3")).to_contain_text("Sleep")
    expect(page.locator(".transition .total")).to_have_text("22 ms")
    expect(page.locator(".history [aria-pressed=true]")).to_have_count(1)


def test_sessions_reasons_and_decisions_are_told(opened: Page) -> None:
    page = opened
    page.locator(".tile[data-name=ledger]").click()
    sheet = page.get_by_role("dialog", name="ledger")
    expect(sheet.locator(".sessions li")).to_have_count(3)
    expect(sheet.locator(".sessions")).to_contain_text("holds advisory lock 42")
    expect(sheet).to_contain_text("Why it is awake")
    expect(sheet.locator(".decisions")).to_contain_text("CPU was 0.71 of 0.9 CPUs")


def test_the_orders_put_first_what_they_say(opened: Page) -> None:
    page, first = opened, opened.locator(".tile").first
    expect(first).to_have_attribute("data-name", "checkout")
    page.get_by_role("radio", name="Name").click()
    expect(first).to_have_attribute("data-name", "analytics")
    page.get_by_role("radio", name="Phase").click()
    expect(first).to_have_attribute("data-phase", "Failed")
    page.get_by_role("radio", name="CU").click()
    expect(first.locator(".fact")).to_have_text("8 CU")
    page.reload()
    expect(page.get_by_role("radio", name="CU")).to_be_checked()


def test_search_finds_by_name_and_by_phase(opened: Page) -> None:
    page = opened
    search = page.get_by_role("searchbox", name="Search databases")
    search.fill("customer 0001")
    expect(page.locator(".tile")).to_have_count(11)
    search.fill("failed")
    assert {tile.get_attribute("data-phase") for tile in page.locator(".tile").all()} == {"Failed"}
    search.fill("no such")
    expect(page.locator("#none")).to_have_text("No database matches “no such”.")


def test_a_fleet_without_databases_says_how_to_make_one(page: Page, dashboard: Served) -> None:
    dashboard.do(dashboard.fleet.rows.clear)
    page.goto(dashboard.link())
    expect(page.locator("#none")).to_contain_text("torpor apply -f FILE")


def test_names_are_text_whatever_is_in_them(page: Page, dashboard: Served) -> None:
    """Names of databases are checked, but applications and causes are the clients' own."""
    fleet = dashboard.fleet
    bad = "<img src=x onerror=alert(1)>"
    row = fleet.rows["checkout"].model_copy(update={"name": bad})
    dashboard.do(lambda: fleet.rows.update({bad: row}))
    page.goto(dashboard.link())
    tile = page.locator(".tile").filter(has_text="onerror")
    expect(tile.locator(".name")).to_have_text(bad)
    assert page.locator(".tile img").count() == 0
