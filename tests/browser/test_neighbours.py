"""Other pages on the same machine, in the same browser: what a real one tells them of ours."""

from __future__ import annotations

import contextlib
import http.server
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.chromium import DESK, Window
from browser.served import Served


@pytest.fixture
def window() -> Window:
    return DESK


class Neighbour(http.server.BaseHTTPRequestHandler):
    """Somebody else's page, which writes down what it is shown."""

    cookies: list[str]

    def do_GET(self) -> None:
        self.cookies.append(self.headers.get("Cookie", ""))
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextlib.contextmanager
def neighbour() -> Iterator[tuple[str, list[str]]]:
    """Its address on another port of ours, and the cookies that it is given."""
    cookies: list[str] = []
    kind = type("Listening", (Neighbour,), {"cookies": cookies})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", cookies
        finally:
            server.shutdown()
            thread.join()


def test_what_another_port_is_given_opens_nothing(opened: Page, dashboard: Served) -> None:
    with neighbour() as (url, cookies):
        elsewhere = opened.context.new_page()
        elsewhere.goto(url)
        assert elsewhere.evaluate("() => localStorage.length") == 0
        # The premise: if browsers ever give it to one port only, the ticket may go.
        assert "torpor-dashboard" in cookies[0]
        asked = urllib.request.Request(f"{dashboard.url}api/fleet", headers={"Cookie": cookies[0]})
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(asked, timeout=20)


def test_another_port_s_page_can_do_and_read_nothing(opened: Page, dashboard: Served) -> None:
    """The browser sends our cookie along: for its rules the two are of one site."""
    with neighbour() as (url, _):
        elsewhere = opened.context.new_page()
        elsewhere.goto(url)
        for method, path in (("POST", "api/databases/checkout/suspend"), ("GET", "api/fleet")):
            told = elsewhere.evaluate(
                """async ([url, method]) => {
                  const headers = method === "POST" ? { "Content-Type": "application/json" } : {};
                  const options = { method, headers, credentials: "include" };
                  return fetch(url, options).then((answer) => answer.status, () => "refused");
                }""",
                [dashboard.url + path, method],
            )
            assert told == "refused"
    assert dashboard.fleet.asked == []


def test_another_tab_that_enters_anew_locks_none_out(opened: Page, dashboard: Served) -> None:
    other = opened.context.new_page()
    other.goto(dashboard.link())
    other.locator("#live[data-state=live]").wait_for()
    opened.locator('.tile[data-name="analytics"]').click()
    expect(opened.get_by_role("dialog", name="analytics").locator(".sessions")).to_be_visible()
    expect(opened.locator("#locked")).to_be_hidden()


def test_an_address_that_was_cut_off_names_nobody(page: Page, dashboard: Served) -> None:
    page.goto(dashboard.link())
    page.locator("#live[data-state=live]").wait_for()
    page.goto(f"{dashboard.url}#/%F0%9")
    page.reload()
    page.locator("#live[data-state=live]").wait_for()
    expect(page.get_by_role("dialog")).to_be_hidden()
