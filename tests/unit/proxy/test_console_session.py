"""One client at the console, message by message: answers, rights, transactions, pace, the end."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from support.fakes.session import FakeStream
from torpor_api import messages as m
from torpor_api.console import ConsoleRight, ConsoleRole
from torpor_api.failures import Busy, NotFound
from torpor_api.phases import Phase
from torpor_api.scram import verifier_of
from torpor_proxy.console.answers import Here
from torpor_proxy.console.client import MESSAGE_BYTES_MAX
from torpor_proxy.console.portals import PORTALS_MAX, STATEMENTS_MAX
from torpor_proxy.console.sessions import ConsoleSessions, Entrance
from torpor_proxy.core import wire
from torpor_proxy.core.routing import Route
from torpor_proxy.settings import Settings

VERIFIER = str(verifier_of("secret", b"0123456789abcdef"))

ROLES = {
    name: ConsoleRole(name=name, right=right, verifier=VERIFIER)
    for name, right in (("torpor", ConsoleRight.ADMIN), ("viewer", ConsoleRight.SHOW))
}

PAGE = 1000

TURNS_MAX = 10_000


class FakeDesk:
    """So many databases, and what was asked about them."""

    def __init__(self, databases: int = 3) -> None:
        self.databases = databases
        self.asked: list[m.Request[Any]] = []
        self.holds = asyncio.Event()
        self.holds.set()
        self.failure: Exception | None = None

    async def ask(self, request: m.Request[Any], *, timeout_s: float) -> Any:
        self.asked.append(request)
        await self.holds.wait()
        if self.failure is not None:
            raise self.failure
        match request:
            case m.AskFleet(after=after):
                first = int(after[2:]) + 1 if after else 0
                numbers = range(first, min(first + PAGE, self.databases))
                has_more = first + PAGE < self.databases
                found = tuple(_row(number) for number in numbers)
                return m.FleetPage(databases=found, has_more=has_more, at="")
            case m.Suspend():
                return m.Done()
            case m.Switchover():
                return m.SwitchedOver(epoch=8, compute="c2", pause_ms=31.5)
            case m.Resize(cu=cu):
                return m.Resized(cu=cu)
            case m.Why(name=name):
                reasons = ("session 7 is busy", "it was resumed")
                return m.WhyReply(name=name, phase=Phase.ACTIVE, reasons=reasons)
        raise NotFound(f"no database {getattr(request, 'name', '')!r}")


def _row(number: int) -> m.DatabaseRow:
    return m.DatabaseRow(
        name=f"db{number:05}", phase=Phase.SUSPENDED, cu=Decimal("0.25"), max_cu=Decimal(2), epoch=1
    )


class World:
    """The console of one proxy, and clients of it."""

    def __init__(self, desk: FakeDesk, **settings: Any) -> None:
        self.desk = desk
        self.roles = dict(ROLES)
        entrance = Entrance(self.roles.get, ("127.0.0.0/8",))
        here = Here("proxy-1", "1.2.3", list)
        self.console = ConsoleSessions(replace(Settings(), **settings), entrance, desk, here)

    def enters(self, user: str = "torpor", pending: bytes = b"") -> Guest:
        stream = FakeStream()
        route = Route("torpor", user, "torpor", (("application_name", "psql"),))
        self.console.enter(route, stream, "127.0.0.1:5000", True, pending)
        return Guest(stream)


class Guest:
    """What one client sends and hears."""

    def __init__(self, stream: FakeStream) -> None:
        self.stream = stream

    async def hears(self, kind: bytes = b"Z") -> list[tuple[bytes, bytes]]:
        """Up to a message of this kind."""
        found: list[tuple[bytes, bytes]] = []
        await until(lambda: any(each[0] == kind for each in self._more(found)))
        return found

    def _more(self, found: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        found += self.stream.taken()
        return found

    async def asks(self, *messages: bytes) -> list[tuple[bytes, bytes]]:
        self.stream.sends(b"".join(messages))
        return await self.hears()

    async def says(self, sql: str) -> list[tuple[bytes, bytes]]:
        return await self.asks(wire.query(sql))


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(TURNS_MAX):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never comes")


def kinds(messages: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(kind for kind, _ in messages)


def rows(messages: list[tuple[bytes, bytes]]) -> list[tuple[bytes | None, ...]]:
    return [tuple(wire.row(body)) for kind, body in messages if kind == b"D"]


def error(messages: list[tuple[bytes, bytes]]) -> dict[str, str]:
    (body,) = [body for kind, body in messages if kind == b"E"]
    return wire.report_fields(body)


def tags(messages: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [body[:-1] for kind, body in messages if kind == b"C"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(FakeDesk())
    yield made
    made.desk.holds.set()
    await made.console.close()


@pytest.fixture
async def guest(world: World) -> Guest:
    made = world.enters()
    await made.hears()
    return made


# --- the login ------------------------------------------------------------------------------


async def test_a_client_is_told_what_drivers_look_for(world: World) -> None:
    greeted = await world.enters().hears()
    told = dict(wire.pair(body) for kind, body in greeted if kind == b"S")
    assert told["client_encoding"] == "UTF8" and told["application_name"] == "psql"
    assert told["server_version"] == "18.0 (Torpor 1.2.3)"
    assert kinds(greeted)[-2:] == b"KZ"
    process_id, secret = wire.key_data(greeted[-2][1])
    assert process_id > 1 << 22 and len(secret) == 32


def test_who_may_enter() -> None:
    world = World(FakeDesk(), console_sessions_max=1)
    verifier, reason = world.console.verifier_of("torpor", "127.0.0.1")
    assert str(verifier) == VERIFIER and not reason
    assert world.console.verifier_of("nobody", "127.0.0.1")[0] is None
    verifier, reason = world.console.verifier_of("torpor", "10.0.0.1")
    assert verifier is None and "10.0.0.1" in reason
    elsewhere = world.console.judge(Route("torpor", "torpor", "postgres"))
    assert elsewhere is not None and elsewhere.sqlstate == "3D000"


async def test_they_are_bounded_in_number() -> None:
    world = World(FakeDesk(), console_sessions_max=1)
    route = Route("torpor", "torpor", "torpor")
    assert world.console.judge(route) is None
    guest = world.enters()
    await guest.hears()
    full = world.console.judge(route)
    assert full is not None and full.sqlstate == "53300"
    guest.stream.sends(wire.TERMINATE)
    await until(lambda: world.console.judge(route) is None)


# --- simple queries -------------------------------------------------------------------------


async def test_rows_of_the_fleet(guest: Guest) -> None:
    said = await guest.says("SHOW DATABASES")
    assert kinds(said) == b"TDDDCZ" and tags(said) == [b"SHOW"]
    assert rows(said)[0][:5] == (b"db00000", b"Suspended", b"t", b"0.25", b"2")


async def test_several_statements_end_at_the_first_that_fails(world: World, guest: Guest) -> None:
    said = await guest.says("SUSPEND a; SHOW CHAIN gone; SUSPEND b")
    assert kinds(said) == b"CTEZ" and tags(said) == [b"SUSPEND"]
    assert error(said)["C"] == "3D000" and "S" in error(said)
    assert [type(asked).__name__ for asked in world.desk.asked] == ["Suspend", "AskTransitions"]


async def test_nothing_happens_where_one_of_several_is_wrong(world: World, guest: Guest) -> None:
    said = await guest.says("SUSPEND a; SUSPND b")
    assert error(said)["C"] == "42601" and "SHOW HELP" in error(said)["H"]
    assert world.desk.asked == []


async def test_the_empty_query(guest: Guest) -> None:
    assert kinds(await guest.says("")) == b"IZ"
    assert kinds(await guest.says(" ; ")) == b"IZ"


async def test_what_others_refuse_is_said_in_their_words(world: World, guest: Guest) -> None:
    world.desk.failure = Busy("session 7 is in a transaction", "wait for it")
    fields = error(await guest.says("SUSPEND shop"))
    assert fields["C"] == "55006" and fields["M"] == "session 7 is in a transaction"
    assert fields["H"] == "wait for it" and fields["V"] == "ERROR"


async def test_results_of_what_changes_something(guest: Guest) -> None:
    assert rows(await guest.says("SWITCHOVER shop")) == [(b"shop", b"8", b"c2", b"31.5")]
    assert rows(await guest.says("RESIZE shop TO 0.5")) == [(b"shop", b"0.5", None, b"")]
    assert rows(await guest.says("SHOW WHY shop"))[0][2] == b"session 7 is busy"
    assert rows(await guest.says("SHOW VERSION")) == [(b"Torpor 1.2.3",)]
    assert len(rows(await guest.says("SHOW HELP"))) == 16


# --- rights and transactions ------------------------------------------------------------------


async def test_a_role_that_may_look_changes_nothing(world: World) -> None:
    viewer = world.enters("viewer")
    await viewer.hears()
    assert len(rows(await viewer.says("SHOW DATABASES"))) == 3
    for sql in ("SUSPEND a", "RESUME a", "SWITCHOVER a", "RESIZE a TO 1"):
        assert error(await viewer.says(sql))["C"] == "42501"
    parsed = await viewer.asks(
        wire.parse("", "SUSPEND a"), wire.bind(""), wire.execute(), wire.SYNC
    )
    assert error(parsed)["C"] == "42501"
    assert [type(asked) for asked in world.desk.asked] == [m.AskFleet]


async def test_a_right_that_is_taken_away_is_gone_at_once(world: World, guest: Guest) -> None:
    world.roles["torpor"] = ROLES["viewer"].model_copy(update={"name": "torpor"})
    assert error(await guest.says("SUSPEND a"))["C"] == "42501"
    del world.roles["torpor"]
    guest.stream.sends(wire.query("SHOW DATABASES"))
    said = await guest.hears(b"E")
    assert error(said)["C"] == "28000" and error(said)["V"] == "FATAL"
    await until(lambda: not guest.stream.is_open)


async def test_a_transaction_shows_and_does_not_change(world: World, guest: Guest) -> None:
    assert (await guest.says("BEGIN"))[-1] == (b"Z", b"T")
    assert (await guest.says("SHOW DATABASES"))[-1] == (b"Z", b"T")
    said = await guest.says("SUSPEND shop")
    assert error(said)["C"] == "25001" and said[-1] == (b"Z", b"E")
    assert error(await guest.says("SHOW DATABASES"))["C"] == "25P02"
    said = await guest.says("COMMIT")
    assert tags(said) == [b"ROLLBACK"] and said[-1] == (b"Z", b"I")
    assert tags(await guest.says("SUSPEND shop")) == [b"SUSPEND"]
    assert [type(asked) for asked in world.desk.asked] == [m.AskFleet, m.Suspend]


# --- the extended protocol ----------------------------------------------------------------------


async def test_a_prepared_statement_with_a_parameter(guest: Guest) -> None:
    said = await guest.asks(wire.parse("s", "SHOW WHY $1"), wire.describe_statement("s"), wire.SYNC)
    assert kinds(said) == b"1tTZ" and said[1][1] == struct.pack(">HI", 1, 25)
    said = await guest.asks(wire.bind("s", [b"shop"]), wire.execute(), wire.SYNC)
    assert kinds(said) == b"2DDCZ" and rows(said)[0][0] == b"shop"
    said = await guest.asks(wire.close_statement("s"), wire.bind("s", [b"shop"]), wire.SYNC)
    assert kinds(said) == b"3EZ" and error(said)["C"] == "26000"


async def test_binary_results(guest: Guest) -> None:
    said = await guest.asks(
        wire.parse("", "SHOW DATABASES"), wire.bind("", is_binary=True), wire.execute(), wire.SYNC
    )
    first = rows(said)[0]
    assert first[2] == b"\1" and first[3] == struct.pack(">d", 0.25)


async def test_rows_by_portions(world: World, guest: Guest) -> None:
    world.desk.databases = 5
    two = wire.message(b"E", b"p\0" + struct.pack(">I", 2))
    await guest.says("BEGIN")
    said = await guest.asks(
        wire.parse("", "SHOW DATABASES"), wire.bind("", portal="p"), two, wire.SYNC
    )
    assert kinds(said) == b"12DDsZ"
    assert kinds(await guest.asks(two, wire.SYNC)) == b"DDsZ"
    said = await guest.asks(two, wire.SYNC)
    assert kinds(said) == b"DCZ"
    assert len(world.desk.asked) == 1
    await guest.says("COMMIT")
    assert error(await guest.asks(two, wire.SYNC))["C"] == "34000"


async def test_an_error_skips_to_sync(world: World, guest: Guest) -> None:
    said = await guest.asks(
        wire.parse("", "NONSENSE"),
        wire.bind(""),
        wire.execute(),
        wire.query("SUSPEND a"),
        wire.SYNC,
    )
    assert kinds(said) == b"EZ" and world.desk.asked == []
    assert kinds(await guest.says("SUSPEND a")) == b"CZ"


async def test_an_error_is_told_to_a_driver_that_waits_for_it_to_send_its_sync(
    guest: Guest,
) -> None:
    guest.stream.sends(wire.parse("", "NONSENSE") + wire.message(b"H"))
    assert error(await guest.hears(b"E"))["C"] == "42601"
    assert kinds(await guest.asks(wire.SYNC)) == b"Z"


async def test_the_empty_statement_and_no_data(guest: Guest) -> None:
    portal = wire.message(b"D", b"P\0")
    said = await guest.asks(wire.parse("", ""), wire.bind(""), portal, wire.execute(), wire.SYNC)
    assert kinds(said) == b"12nIZ"
    said = await guest.asks(
        wire.parse("", "SUSPEND a"), wire.bind(""), portal, wire.execute(), wire.SYNC
    )
    assert kinds(said) == b"12nCZ"


async def test_what_the_protocol_has_besides_is_refused(guest: Guest) -> None:
    assert error(await guest.asks(wire.function_call(1, [])))["C"] == "0A000"
    said = await guest.asks(wire.parse("", "SUSPEND a; SUSPEND b"), wire.SYNC)
    assert error(said)["C"] == "0A000"
    assert kinds(await guest.asks(wire.message(b"c"), wire.message(b"d", b"x"), wire.SYNC)) == b"Z"


async def test_statements_and_portals_are_bounded(guest: Guest) -> None:
    many = [wire.parse(f"s{number}", "SHOW HELP") for number in range(STATEMENTS_MAX + 1)]
    for begin in range(0, STATEMENTS_MAX, 50):
        assert kinds(await guest.asks(*many[begin : begin + 50], wire.SYNC)) == b"1" * 50 + b"Z"
    assert error(await guest.asks(many[-1], wire.SYNC))["C"] == "54000"
    assert tags(await guest.says("DEALLOCATE ALL")) == [b"DEALLOCATE ALL"]
    bound = [wire.bind("", portal=f"p{number}") for number in range(PORTALS_MAX + 1)]
    said = await guest.asks(wire.parse("", "SHOW HELP"), *bound, wire.SYNC)
    assert error(said)["C"] == "54000"


# --- pace, cancel, end --------------------------------------------------------------------------


async def test_ten_thousand_rows_go_at_the_pace_of_the_reader(world: World, guest: Guest) -> None:
    world.desk.databases = 10_000
    guest.stream.fills(True)
    guest.stream.sends(wire.query("SHOW DATABASES"))
    await settle()
    assert len(world.desk.asked) == 1 and len(guest.stream.written) < 64 << 10
    guest.stream.fills(False)
    said = await guest.hears()
    assert len(rows(said)) == 10_000 and len(world.desk.asked) == 10


async def test_a_client_that_does_not_read_is_hung_up_on() -> None:
    world = World(FakeDesk(10_000), console_idle_timeout_s=0.01)
    guest = world.enters()
    await guest.hears()
    guest.stream.fills(True)
    guest.stream.sends(wire.query("SHOW DATABASES"))
    await gone(world)
    assert not guest.stream.is_open


async def test_a_silent_client_is_told_that_it_was_idle_for_too_long() -> None:
    world = World(FakeDesk(), console_idle_timeout_s=0.01)
    guest = world.enters()
    await gone(world)
    assert error(guest.stream.taken())["C"] == "57P05"


async def test_a_cancel_request_ends_what_runs(world: World) -> None:
    guest = world.enters()
    key = wire.key_data((await guest.hears())[-2][1])
    world.desk.holds.clear()
    guest.stream.sends(wire.query("SUSPEND shop"))
    await until(lambda: len(world.desk.asked) == 1)
    assert not world.console.cancel(key[0], b"x" * 32)
    assert world.console.cancel(*key)
    assert error(await guest.hears())["C"] == "57014"
    world.desk.holds.set()
    assert world.console.cancel(*key), "an idle one is known too, and goes on"
    assert kinds(await guest.says("SUSPEND shop")) == b"CZ"


async def test_a_client_that_vanishes_leaves_nothing_running(world: World, guest: Guest) -> None:
    world.desk.holds.clear()
    guest.stream.sends(wire.query("SUSPEND shop"))
    await until(lambda: len(world.desk.asked) == 1)
    guest.stream.vanishes()
    await gone(world)


async def test_a_client_that_ends_its_side_is_still_answered(world: World, guest: Guest) -> None:
    guest.stream.sends(wire.query("SHOW DATABASES"))
    guest.stream.sink.ended()
    assert len(rows(await guest.hears())) == 3
    await gone(world)


async def test_everybody_is_told_when_the_proxy_ends(world: World, guest: Guest) -> None:
    world.desk.holds.clear()
    guest.stream.sends(wire.query("SUSPEND shop"))
    await until(lambda: len(world.desk.asked) == 1)
    await world.console.close()
    assert error(guest.stream.taken())["C"] == "57P01" and not guest.stream.is_open


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"Q\0\0\0\3",
        b"Q" + struct.pack(">I", MESSAGE_BYTES_MAX + 5) + b"x" * 100,
        b"\xff" * 20,
    ],
)
async def test_garbage_ends_the_session(world: World, guest: Guest, garbage: bytes) -> None:
    guest.stream.sends(garbage)
    said = await guest.hears(b"E")
    assert error(said)["C"] == "08P01" and error(said)["V"] == "FATAL"
    await gone(world)


async def test_what_is_sent_ahead_is_held_up(world: World, guest: Guest) -> None:
    world.desk.holds.clear()
    guest.stream.sends(wire.query("SUSPEND shop"))
    await until(lambda: len(world.desk.asked) == 1)
    guest.stream.sends(wire.SYNC * 20_000)
    assert guest.stream.is_paused
    world.desk.holds.set()
    await until(lambda: not guest.stream.is_paused)


async def test_what_came_behind_the_login_is_answered(world: World) -> None:
    guest = world.enters(pending=wire.query("SHOW VERSION"))
    said = await guest.hears(b"D")
    assert rows(said) == [(b"Torpor 1.2.3",)]


async def settle() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def gone(world: World) -> None:
    async with asyncio.timeout(10):
        while len(world.console):
            await asyncio.sleep(0.001)
