"""One client at the console, message by message: answers, rights, transactions, portions."""

from __future__ import annotations

import logging
import struct

import pytest

from support.console import (
    ROLES,
    VERIFIER,
    FakeDesk,
    Guest,
    World,
    error,
    kinds,
    rows,
    tags,
    until,
)
from torpor_api import messages as m
from torpor_api.failures import Busy
from torpor_proxy.console.portals import PORTALS_MAX, STATEMENTS_MAX
from torpor_proxy.console.sessions import ADMIN_SESSIONS_KEPT
from torpor_proxy.core import wire
from torpor_proxy.core.routing import Route

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


async def test_those_who_only_look_leave_a_place_to_those_who_may_act() -> None:
    world = World(FakeDesk(), console_sessions_max=ADMIN_SESSIONS_KEPT + 2)
    looking, acting = (Route("torpor", role, "torpor") for role in ("viewer", "torpor"))
    for _ in range(2):
        assert world.console.judge(looking) is None
        await world.enters("viewer").hears()
    full = world.console.judge(looking)
    assert full is not None and "with the right admin" in full.hint
    for _ in range(ADMIN_SESSIONS_KEPT):
        assert world.console.judge(acting) is None
        await world.enters().hears()
    assert world.console.judge(acting) is not None
    await world.console.close()


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


async def test_a_parameter_without_its_value_is_asked_of_nobody(world: World, guest: Guest) -> None:
    for sql in ("SUSPEND $1", "RESIZE $1 TO $2", "SHOW WHY $1"):
        said = await guest.says(sql)
        assert kinds(said) == b"EZ" and error(said)["C"] == "42P02"
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


async def test_whoever_tries_without_the_right_is_in_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    viewer = world.enters("viewer")
    await viewer.hears()
    await viewer.says("SUSPEND shop")
    (told,) = [each for each in caplog.records if each.message == "console_command_refused"]
    assert vars(told)["user"] == "viewer" and vars(told)["database"] == "shop"


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


async def test_a_portal_of_an_aborted_transaction_goes_on_no_more(guest: Guest) -> None:
    one = wire.message(b"E", b"p\0" + struct.pack(">I", 1))
    await guest.says("BEGIN")
    opened = [wire.parse("", "SHOW DATABASES"), wire.bind("", portal="p"), one, wire.SYNC]
    assert kinds(await guest.asks(*opened)) == b"12DsZ"
    await guest.says("NONSENSE")
    assert error(await guest.asks(one, wire.SYNC))["C"] == "25P02"


async def test_a_portal_ends_with_its_role(world: World, guest: Guest) -> None:
    one = wire.message(b"E", b"p\0" + struct.pack(">I", 1))
    await guest.says("BEGIN")
    opened = [wire.parse("", "SHOW DATABASES"), wire.bind("", portal="p"), one, wire.SYNC]
    assert kinds(await guest.asks(*opened)) == b"12DsZ"
    del world.roles["torpor"]
    guest.stream.sends(one + wire.SYNC)
    assert error(await guest.hears(b"E"))["C"] == "28000"


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
