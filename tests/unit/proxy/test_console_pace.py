"""Clients at the console that are slow, silent, gone or no clients at all; and everybody's end."""

from __future__ import annotations

import asyncio
import struct

import pytest

from support.console import (
    FakeDesk,
    Guest,
    World,
    error,
    gone,
    kinds,
    rows,
    settle,
    until,
)
from torpor_proxy.console.client import CHUNK_BYTES, MESSAGE_BYTES_MAX
from torpor_proxy.core import wire

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


async def test_others_have_their_turns_while_ten_thousand_rows_are_written(
    world: World, guest: Guest
) -> None:
    """However fast it reads: every client of the proxy shares the one loop."""
    world.desk.sessions = 10_000
    guest.stream.sends(wire.query("SHOW SESSIONS shop"))
    turns = 0
    while not guest.stream.written.endswith(wire.ready_for_query()):
        turns += 1
        await asyncio.sleep(0)
    assert turns > len(guest.stream.written) // (CHUNK_BYTES + 1024) > 20
    assert len(rows(await guest.hears())) == 10_000


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
