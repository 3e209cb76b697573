"""What the dashboard answers over HTTP, and to whom."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.made_up_fleet import BUSIEST, PINNED, MadeUpFleet
from support.ports import free_address
from torpor_api.phases import Phase
from torpor_autoscaler.dashboard import connections, live, serving, web
from torpor_autoscaler.dashboard.files import page_files
from torpor_autoscaler.settings import OfDashboard

NAMED = "torpor.example.org"


class Browser:
    """Keeps its cookies and its ticket, and says where its page came from."""

    def __init__(self, session: aiohttp.ClientSession, origin: str) -> None:
        self.origin = origin
        self.ticket = ""
        self._session = session

    async def enter(self, link: str) -> int:
        status, told = await self.post("/api/enter", {"link": link})
        if status == 200:
            self.ticket = told["ticket"]
        return status

    async def get(self, path: str, **headers: str) -> tuple[int, bytes]:
        sent = {web.TICKET: self.ticket} | headers
        async with self._session.get(self.origin + path, headers=sent) as answer:
            return answer.status, await answer.read()

    async def headers(self, path: str) -> Mapping[str, str]:
        sent = {web.TICKET: self.ticket}
        async with self._session.get(self.origin + path, headers=sent) as answer:
            return answer.headers

    async def status(self, path: str) -> int:
        """Of an answer that may have no end."""
        sent = {web.TICKET: self.ticket}
        async with self._session.get(self.origin + path, headers=sent) as answer:
            return answer.status

    async def post(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        own = {"Origin": self.origin, "Content-Type": "application/json", web.TICKET: self.ticket}
        sent = own | headers
        data = json.dumps({} if body is None else body)
        url = self.origin + path
        async with self._session.post(url, data=data, headers=sent) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text else None

    @contextlib.asynccontextmanager
    async def events(self, mark: str, **headers: str) -> AsyncIterator[aiohttp.StreamReader]:
        url = f"{self.origin}/api/events?since={mark}&ticket={self.ticket}"
        async with self._session.get(url, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            yield answer.content


async def told(events: aiohttp.StreamReader) -> tuple[str, dict[str, Any]]:
    """The next event's id and data; comments are passed over."""
    fields: dict[str, str] = {}
    async with asyncio.timeout(20):
        while True:
            line = (await events.readline()).decode().rstrip("\n")
            if line:
                name, _, value = line.partition(": ")
                fields[name] = value
            elif "data" in fields:
                return fields.get("id", fields.get("event", "")), json.loads(fields["data"])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "BEAT_S", 0.01)


@pytest.fixture
def fleet() -> MadeUpFleet:
    return MadeUpFleet(30, step_s=0.0)


@pytest.fixture
async def stranger(fleet: MadeUpFleet, quick: None) -> AsyncIterator[Browser]:
    """One that was not let in."""
    address = free_address()
    async with (
        serving.serving(OfDashboard(address, hosts=(NAMED,)), fleet, fleet),
        aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session,
    ):
        yield Browser(session, f"http://{address}")


@pytest.fixture
async def browser(stranger: Browser, fleet: MadeUpFleet) -> Browser:
    assert await stranger.enter(fleet.link().link) == 200
    return stranger


async def mark_of(browser: Browser) -> str:
    mark: str = json.loads((await browser.get("/api/fleet"))[1])["mark"]
    return mark


# --- who is let in --------------------------------------------------------------------------------


async def test_a_stranger_sees_the_page_and_nothing_else(
    stranger: Browser, fleet: MadeUpFleet
) -> None:
    assert (await stranger.get("/"))[0] == 200
    for path in ("/api/fleet", "/api/events?since=a-1", f"/api/databases/{BUSIEST}"):
        assert (await stranger.get(path))[0] == 401
    assert (await stranger.post(f"/api/databases/{BUSIEST}/suspend"))[0] == 401
    assert fleet.asked == [] and fleet.looked_at == 0


async def test_a_wrong_link_opens_nothing_and_says_what_to_do(stranger: Browser) -> None:
    status, said = await stranger.post("/api/enter", {"link": "wrong"})
    assert status == 401 and "`torpor dashboard` prints another" in said["message"]


async def test_wrong_links_keep_the_right_one_out_at_no_time(
    stranger: Browser, fleet: MadeUpFleet
) -> None:
    link = fleet.link().link
    assert [await stranger.enter("wrong") for _ in range(12)] == [401] * 12
    assert await stranger.enter(link) == 200


@pytest.mark.parametrize("body", [[], {}, {"link": 7}, "link"])
async def test_what_is_no_link_is_refused(stranger: Browser, body: Any) -> None:
    assert (await stranger.post("/api/enter", body))[0] == 400


async def test_the_cookie_is_for_our_own_page_alone(stranger: Browser, fleet: MadeUpFleet) -> None:
    url, link = f"{stranger.origin}/api/enter", {"link": fleet.link().link}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=link, headers={"Origin": stranger.origin}) as answer:
            (cookie,) = answer.headers.getall("Set-Cookie")
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Secure" not in cookie


async def test_a_browser_behind_tls_gives_its_cookie_to_tls_only(
    stranger: Browser, fleet: MadeUpFleet
) -> None:
    url, link = f"{stranger.origin}/api/enter", {"link": fleet.link().link}
    headers = {"Host": NAMED, "Origin": f"https://{NAMED}"}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, json=link, headers=headers) as answer:
            (cookie,) = answer.headers.getall("Set-Cookie")
    assert "Secure" in cookie


async def test_a_cookie_alone_opens_nothing(browser: Browser, fleet: MadeUpFleet) -> None:
    """Browsers give it to every port of this machine: another one's page could have got it so."""
    browser.ticket = ""
    for path in ("/api/fleet", "/api/events?since=a-1", f"/api/databases/{BUSIEST}"):
        assert (await browser.get(path))[0] == 401
    assert (await browser.post(f"/api/databases/{BUSIEST}/suspend"))[0] == 401
    assert fleet.asked == []


async def test_with_a_key_that_everybody_knows_nobody_is_served(
    tmp_path: Path, fleet: MadeUpFleet
) -> None:
    """One that a full disk, or an end in the middle, has left empty."""
    key = tmp_path / "key"
    key.touch()
    with pytest.raises(OSError, match="at least 32 are needed"):
        async with serving.serving(OfDashboard(free_address(), key), fleet, fleet):
            pass


async def test_whoever_leaves_is_not_known_any_more(browser: Browser) -> None:
    assert (await browser.get("/api/fleet"))[0] == 200
    assert (await browser.post("/api/leave"))[0] == 204
    assert (await browser.get("/api/fleet"))[0] == 401


async def test_a_browser_is_known_to_the_next_autoscaler_that_has_the_key(tmp_path: Path) -> None:
    address, key = free_address(), tmp_path / "key"
    key.write_text("secret" * 6)
    fleet, wanted = MadeUpFleet(3), OfDashboard(address, key)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        browser = Browser(session, f"http://{address}")
        async with serving.serving(wanted, fleet, fleet):
            await browser.enter(fleet.link().link)
        async with serving.serving(wanted, fleet, fleet):
            assert (await browser.get("/api/fleet"))[0] == 200
        key.write_text("another" * 5)
        async with serving.serving(wanted, fleet, fleet):
            assert (await browser.get("/api/fleet"))[0] == 401


# --- other people's pages -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
async def test_another_page_can_do_nothing_with_our_cookie(
    browser: Browser, fleet: MadeUpFleet, headers: dict[str, str]
) -> None:
    status, said = await browser.post(f"/api/databases/{BUSIEST}/suspend", **headers)
    assert status == 403 and "own page" in said["message"]
    assert fleet.asked == []


async def test_a_name_that_leads_here_by_chance_is_not_answered(browser: Browser) -> None:
    for path in ("/", "/api/fleet"):
        assert (await browser.get(path, Host="rebound.example:5480"))[0] == 421


async def test_every_answer_says_that_nothing_else_may_be_loaded(browser: Browser) -> None:
    for path in ("/", "/page.js", "/nothing", "/api/fleet", "/api/databases/none"):
        headers = await browser.headers(path)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_the_page_names_nothing_from_elsewhere() -> None:
    for path, file in page_files().items():
        text = file.content.decode().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text and "//cdn" not in text, path


async def test_no_file_but_the_page_s_is_given_out(browser: Browser) -> None:
    for path in ("/../door.py", "/%2e%2e/door.py", "/__init__.py", "/index.html", "//etc/passwd"):
        assert (await browser.get(path))[0] in (400, 404)


async def test_a_file_that_is_known_is_not_sent_again(browser: Browser) -> None:
    tag = (await browser.headers("/style.css"))["ETag"]
    assert await browser.get("/style.css", **{"If-None-Match": tag}) == (304, b"")


# --- the fleet ------------------------------------------------------------------------------------


async def test_the_whole_fleet_comes_at_once(browser: Browser, fleet: MadeUpFleet) -> None:
    whole = json.loads((await browser.get("/api/fleet"))[1])
    assert sorted(tile[0] for tile in whole["tiles"]) == sorted(fleet.rows)
    assert whole["fields"][0] == "name"


async def test_what_changes_is_told(browser: Browser, fleet: MadeUpFleet) -> None:
    async with browser.events(await mark_of(browser)) as events:
        fleet.update("search", phase=Phase.FAILED)
        fleet.remove("wiki")
        tiles: dict[str, str] = {}
        gone: list[str] = []
        while not ("search" in tiles and gone):
            _, changes = await told(events)
            tiles |= {tile[0]: tile[1] for tile in changes["tiles"]}
            gone += changes["gone"]
    assert tiles["search"] == "Failed" and gone == ["wiki"]


async def test_a_browser_that_comes_again_hears_what_it_has_missed(
    browser: Browser, fleet: MadeUpFleet
) -> None:
    async with browser.events(await mark_of(browser)) as events:
        fleet.update("search", sessions=901)
        mark, _ = await told(events)
    fleet.update("search", sessions=902)
    async with browser.events("a-1", **{"Last-Event-ID": mark}) as events:
        _, changes = await told(events)
    assert [tile[4] for tile in changes["tiles"]] == [902]


async def test_a_mark_of_another_board_is_answered_by_reset(browser: Browser) -> None:
    async with browser.events("other-3") as events:
        assert await told(events) == ("reset", {})


async def test_what_is_no_mark_is_refused(browser: Browser) -> None:
    assert (await browser.get("/api/events?since=nonsense"))[0] == 400


async def test_viewers_are_bounded(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "VIEWERS_MAX", 1)
    mark = await mark_of(browser)
    async with browser.events(mark):
        status, said = await browser.get(f"/api/events?since={mark}")
        assert status == 503 and b"1 pages are open already" in said


async def test_without_a_viewer_nothing_is_looked_at(
    browser: Browser, fleet: MadeUpFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "KEPT_S", 0.5)
    assert fleet.looked_at == 0
    async with browser.events(await mark_of(browser)) as events:
        fleet.update("search", sessions=901)
        await told(events)
    async with asyncio.timeout(20):
        # A beat looks at rows each hundredth of a second.
        looked_at = -1
        while looked_at != fleet.looked_at:
            looked_at = fleet.looked_at
            await asyncio.sleep(0.2)
    assert looked_at > len(fleet.rows)


async def test_a_browser_that_reads_nothing_is_let_go(
    browser: Browser, fleet: MadeUpFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "UNREAD_S_MAX", 0.1)
    monkeypatch.setattr(live, "VIEWERS_MAX", 1)
    mark = await mark_of(browser)
    names = list(fleet.rows)
    async with browser.events(mark):
        async with asyncio.timeout(20):
            count = 0
            while await browser.status(f"/api/events?since={mark}") == 503:
                count += 1
                for name in names:
                    fleet.update(name, last_wake_at="x" * 20_000 + str(count))
                await asyncio.sleep(0.02)


# --- one database ---------------------------------------------------------------------------------


async def test_the_story_of_a_database(browser: Browser) -> None:
    status, body = await browser.get(f"/api/databases/{BUSIEST}")
    story = json.loads(body)
    assert status == 200 and story["row"]["name"] == BUSIEST
    assert story["transitions"][0]["spans"] and story["sessions"] and story["decisions"]
    assert story["reasons"]


async def test_one_that_is_not_there_is_404(browser: Browser) -> None:
    status, body = await browser.get("/api/databases/none")
    assert status == 404 and "no database 'none'" in json.loads(body)["message"]
    assert (await browser.post("/api/databases/none/resume"))[0] == 404


async def test_it_sleeps_and_wakes_at_a_word(browser: Browser, fleet: MadeUpFleet) -> None:
    assert await browser.post(f"/api/databases/{BUSIEST}/suspend") == (204, None)
    assert fleet.rows[BUSIEST].phase is Phase.SUSPENDED
    assert await browser.post(f"/api/databases/{BUSIEST}/resume") == (204, None)
    assert fleet.rows[BUSIEST].phase is Phase.ACTIVE


async def test_one_that_may_not_sleep_says_why(browser: Browser) -> None:
    status, said = await browser.post(f"/api/databases/{PINNED}/suspend")
    assert status == 409 and "holds advisory lock 42" in said["message"]


async def test_what_is_under_way_is_bounded(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "AT_ONCE_MAX", 0)
    status, said = await browser.post(f"/api/databases/{BUSIEST}/suspend")
    assert status == 503 and "under way" in said["message"]


async def test_connections_are_bounded(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 1)
    async with browser.events(await mark_of(browser)):
        with pytest.raises(aiohttp.ClientError):
            await browser.get("/")
