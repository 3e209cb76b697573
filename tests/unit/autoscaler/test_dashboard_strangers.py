"""What whoever reaches the dashboard's port can do without being let in: nothing to anybody."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from support.made_up_fleet import BUSIEST, MadeUpFleet
from support.ports import free_address
from torpor_autoscaler.dashboard import connections, serving, web
from torpor_autoscaler.settings import OfDashboard
from torpor_channel.address import TcpAddress

WAIT_S_MAX = 20.0


class Port:
    """By its bytes."""

    def __init__(self, address: TcpAddress, fleet: MadeUpFleet) -> None:
        self.address = address
        self._fleet = fleet

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(self.address.host, self.address.port)

    def request(self, line: str, *headers: bytes, body: bytes = b"") -> bytes:
        head = [line.encode() + b" HTTP/1.1", f"Host: {self.address}".encode(), *headers]
        return b"\r\n".join([*head, b"", body])

    def entering(self, body: bytes, *headers: bytes, media: str = "application/json") -> bytes:
        own = [f"Origin: http://{self.address}", f"Content-Type: {media}"]
        length = f"Content-Length: {len(body)}"
        encoded = [each.encode() for each in (*own, length)]
        return self.request("POST /api/enter", *encoded, *headers, body=body)

    async def answer(self, sent: bytes) -> tuple[int, bytes]:
        """Status, and all that follows: nothing more is asked by this connection."""
        reader, writer = await self.open()
        async with asyncio.timeout(WAIT_S_MAX):
            writer.write(sent.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1))
            status = (await reader.readline()).split()[1]
            rest = await reader.read()
        writer.close()
        return int(status), rest

    async def link(self, body: bytes) -> tuple[int, bytes]:
        return await self.answer(self.entering(body))

    async def admitted(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        """A connection on which a browser that was let in has asked already, and its headers."""
        _, told = await self.link(json.dumps({"link": self._fleet.link().link}).encode())
        head, _, body = told.partition(b"\r\n\r\n")
        (cookie,) = [line for line in head.splitlines() if line.startswith(b"Set-Cookie: ")]
        pair = cookie.removeprefix(b"Set-Cookie: ").partition(b";")[0]
        ticket = json.loads(body)["ticket"]
        shown = b"Cookie: " + pair + b"\r\n" + f"{web.TICKET}: {ticket}".encode()
        reader, writer = await self.open()
        await self.ask(reader, writer, shown)
        return reader, writer, shown

    async def ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, shown: bytes
    ) -> None:
        """For a story, which it is given."""
        writer.write(self.request(f"GET /api/databases/{BUSIEST}", shown))
        async with asyncio.timeout(WAIT_S_MAX):
            head = await reader.readuntil(b"\r\n\r\n")
            assert b" 200 " in head.splitlines()[0]
            length = head.lower().partition(b"content-length: ")[2].split()[0]
            await reader.readexactly(int(length))


@pytest.fixture
def fleet() -> MadeUpFleet:
    return MadeUpFleet(3, step_s=0.0)


@pytest.fixture
async def port(fleet: MadeUpFleet) -> AsyncIterator[Port]:
    address = free_address()
    async with serving.serving(OfDashboard(address), fleet, fleet):
        yield Port(address, fleet)


async def is_hung_up_on(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            return await reader.read() == b""
    except ConnectionError:
        return True


# --- connections ----------------------------------------------------------------------------------


async def test_strangers_keep_nobody_out(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many connections they hold; who was let in keeps his."""
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 4)
    reader, writer, shown = await port.admitted()
    strangers = [await port.open() for _ in range(12)]
    for silent, _ in strangers[:9]:
        assert await is_hung_up_on(silent)
    await port.ask(reader, writer, shown)
    status, _ = await port.answer(port.request("GET /"))
    assert status == 200
    for _, stranger in (*strangers, (reader, writer)):
        stranger.close()


async def test_a_storm_of_connections_leaves_no_more_than_there_may_be(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once: none of them is made yet when the next one is taken."""
    monkeypatch.setattr(connections, "CONNECTIONS_MAX", 4)
    opened = await asyncio.gather(*(port.open() for _ in range(60)))
    gone = [asyncio.create_task(is_hung_up_on(reader)) for reader, _ in opened]
    async with asyncio.timeout(WAIT_S_MAX):
        while sum(each.done() for each in gone) < 56:
            await asyncio.sleep(0.01)
    assert (await port.answer(port.request("GET /")))[0] == 200
    for _, writer in opened:
        writer.close()
    await asyncio.gather(*gone)


async def test_a_connection_without_a_request_ends(
    fleet: MadeUpFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "IDLE_S_MAX", 0.05)
    address = free_address()
    async with serving.serving(OfDashboard(address), fleet, fleet):
        port = Port(address, fleet)
        for begun in (b"", b"GET / HT", port.request("GET /")[:-4]):
            reader, writer = await port.open()
            writer.write(begun)
            assert await is_hung_up_on(reader)
            writer.close()


async def test_a_link_that_never_comes_is_not_waited_for(
    port: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "BODY_S_MAX", 0.05)
    reader, writer = await port.open()
    writer.write(port.entering(b"x" * 100)[:-50])
    async with asyncio.timeout(WAIT_S_MAX):
        assert b" 408 " in await reader.readline()
    writer.close()


# --- what is no request ---------------------------------------------------------------------------


GARBAGE = [
    b"\0\xff\1 nothing\r\n\r\n",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_is_refused_and_fills_no_log(
    port: Port, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    caplog.set_level(logging.INFO)
    reader, writer = await port.open()
    writer.write(garbage)
    async with asyncio.timeout(WAIT_S_MAX):
        assert b" 400 " in await reader.readline()
    writer.close()
    assert caplog.records == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"[" * 4000, b'{"link": NaN}', b'{"link": %s}' % (b"9" * 4050)],
    ids=range(6),
)
async def test_a_body_that_is_none_is_refused(
    port: Port, caplog: pytest.LogCaptureFixture, body: bytes
) -> None:
    caplog.set_level(logging.INFO)
    assert (await port.link(body))[0] == 400
    assert caplog.records == []


async def test_odd_bytes_where_a_secret_stands_are_a_wrong_secret(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    assert (await port.link(b'{"link": "\\ud800"}'))[0] == 401
    cookie = f"Cookie: torpor-dashboard-{port.address.port}=".encode() + b"1.\xff\xff"
    for shown in (cookie, f"{web.TICKET}: ".encode() + b"\xff"):
        assert (await port.answer(port.request("GET /api/fleet", shown)))[0] == 401
    assert caplog.records == []


async def test_nothing_is_unpacked_for_a_stranger(
    port: Port, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for packing in (b"gzip", b"deflate", b"br", b"zstd", b"nonsense"):
        sent = port.entering(b'{"link": "x"}', b"Content-Encoding: " + packing)
        assert (await port.answer(sent))[0] == 401
    sent = port.entering(b'{"link": "x"}', media="application/json; charset=nonsense")
    assert (await port.answer(sent))[0] == 401
    assert caplog.records == []


@pytest.mark.parametrize(
    "path", ["/%61pi/fleet", "/api%2ffleet", "/api//fleet", "/api/fleet/", "/api/nothing"]
)
async def test_no_spelling_of_a_path_goes_around_the_door(port: Port, path: str) -> None:
    assert (await port.answer(port.request(f"GET {path}")))[0] == 401


# --- who was let in, and is wrong -----------------------------------------------------------------


async def asked(port: Port, fleet: MadeUpFleet, method: str, path: str) -> int:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        url, headers = f"http://{port.address}", {"Origin": f"http://{port.address}"}
        link: Any = {"link": fleet.link().link}
        async with session.post(f"{url}/api/enter", json=link, headers=headers) as answer:
            headers[web.TICKET] = (await answer.json())["ticket"]
        headers["Content-Type"] = "application/json"
        async with session.request(method, url + path, headers=headers) as answer:
            return answer.status


@pytest.mark.parametrize(
    "path", ["/api/fleet", "/api/events?since=a-1", f"/api/databases/{BUSIEST}"]
)
async def test_what_is_asked_for_has_no_head_alone(
    port: Port, fleet: MadeUpFleet, path: str
) -> None:
    """Of a stream it would have no end."""
    assert await asked(port, fleet, "HEAD", path) == 404


@pytest.mark.parametrize("name", ["%ff", "%00", "a%0ab", "A", "..", "x" * 2000, "a.b.c", "%F0%9F"])
async def test_what_can_be_no_name_is_not_asked_about(
    port: Port, fleet: MadeUpFleet, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    caplog.set_level(logging.INFO)
    assert await asked(port, fleet, "GET", f"/api/databases/{name}") == 404
    for verb in ("suspend", "resume"):
        assert await asked(port, fleet, "POST", f"/api/databases/{name}/{verb}") in (404, 405)
    assert fleet.asked == [] and caplog.records == []


async def test_a_defect_is_told_once_and_hurts_nobody_else(
    port: Port,
    fleet: MadeUpFleet,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def fails(name: str) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(fleet, "suspend", fails)
    assert await asked(port, fleet, "POST", f"/api/databases/{BUSIEST}/suspend") == 500
    assert [record.message for record in caplog.records] == ["dashboard_defect"]
    assert await asked(port, fleet, "GET", f"/api/databases/{BUSIEST}") == 200
