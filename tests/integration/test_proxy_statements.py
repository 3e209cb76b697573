"""Prepared statements on a real Postgres: captured from one backend, put back on another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from support.up import Database, Up, a_database
from support.wire_client import Message, WireClient, backend, error_of
from torpor_proxy.core import capture, custom_settings, results, wire
from torpor_proxy.core.aside import SUBTRANSACTION, TRANSACTION
from torpor_proxy.core.broken import UNNAMED
from torpor_proxy.core.capture import UNKNOWN, Captured
from torpor_proxy.core.held import NOTHING_HELD, STATEMENTS
from torpor_proxy.core.restore import Restore
from torpor_proxy.core.session_state import SessionState


@pytest.fixture(scope="module")
def awake(up: Up) -> Iterator[Database]:
    with a_database(up) as database:
        yield database


@pytest.fixture
def changing(awake: Database) -> Iterator[WireClient]:
    with backend(awake) as client:
        client.query("create table changing (a int, b text)")
        yield client
        client.query("drop table if exists changing")


def captured(client: WireClient) -> Captured:
    messages = client.ask(capture.question(custom_settings.NONE, UNKNOWN))
    return capture.read(messages, "app", custom_settings.NONE, UNKNOWN)


def described(client: WireClient, found: Captured) -> SessionState:
    statements = found.held.of(*STATEMENTS)
    told = results.told(client.ask(TRANSACTION.around(results.question(statements, "UTF8"))))
    state = SessionState()
    state.captured(replace(found, held=found.held.with_results(told)))
    return state


def put_back(client: WireClient, state: SessionState) -> Restore:
    wanted = state.to_restore("UTF8", with_unnamed=True)
    script = wanted.first()
    if not wanted.read_first(script, messages_of(client, script.data, len(script.parts))):
        script = wanted.careful()
        wanted.read_careful(script, messages_of(client, script.data, len(script.parts)))
    if wanted.broken:
        client.ask(TRANSACTION.around(wanted.stand_ins()))
    state.put_back(wanted)
    return wanted


def messages_of(client: WireClient, data: bytes, readies: int) -> list[Message]:
    client.send(data)
    return [message for _ in range(readies) for message in client.until(b"Z")]


def prepared(awake: Database) -> SessionState:
    with backend(awake) as client:
        for name in ("s", "Ä", "n" * 70):
            client.ask(wire.parse(name, "select * from changing") + wire.SYNC)
        client.query("prepare p as select a from changing")
        return described(client, captured(client))


def test_what_was_put_back_need_not_be_described_again(
    awake: Database, changing: WireClient
) -> None:
    state = prepared(awake)
    with backend(awake) as client:
        assert not put_back(client, state).broken
        found = captured(client)
        known = results.carried_over(found.held, found.prepared, state.held, state.prepared)
        assert len(known) == 4 and None not in known
        client.query("deallocate p; prepare p as select a from changing")
        found = captured(client)
        known = results.carried_over(found.held, found.prepared, state.held, state.prepared)
        names = [entry.name for entry in found.held.of(*STATEMENTS)]
        assert [name for name, one in zip(names, known, strict=True) if one is None] == [b"p"]


def test_those_that_have_changed_are_listed_as_what_stands_in(
    awake: Database, changing: WireClient
) -> None:
    state = prepared(awake)
    changing.query("alter table changing rename b to c")
    with backend(awake) as client:
        broken = put_back(client, state).broken
        assert set(broken) == {b"s", "Ä".encode(), b"n" * 63}
        found = captured(client)
        assert found.stand_ins == set(broken)
        assert [entry.name for entry in found.held.of(*STATEMENTS)] == [b"p"]
        state.captured(found)
        assert set(state.broken or ()) == set(broken)
        assert len(state.held.of(*STATEMENTS)) == 4
        client.query('deallocate "s"')
        state.captured(captured(client))
        assert b"s" not in (state.broken or ()) and len(state.held.of(*STATEMENTS)) == 3


@pytest.mark.parametrize("before", ["", "begin; select 'snapshot'"])
def test_a_trial_leaves_its_client_s_transaction_alone(
    awake: Database, changing: WireClient, before: str
) -> None:
    state = prepared(awake)
    changing.query("drop table changing")
    with backend(awake) as client:
        wanted = put_back(client, state)
        assert len(wanted.broken) == 4
        client.query(before)
        frame = SUBTRANSACTION if before else TRANSACTION
        status = client.ask(wire.SYNC)[-1]
        tried = client.ask(frame.around(wanted.trial(b"p")))
        assert error_of(tried)["C"] == "42P01"
        wanted.read_trial(b"p", tried)
        for data in (frame.end + wire.SYNC, frame.around(wanted.stand_ins())):
            assert client.ask(data)[-1] == status
        assert client.query("show client_encoding") == [(b"UTF8",)]
        changing.query("create table changing (a int, b text)")
        tried = client.ask(frame.around(wanted.trial(b"p")))
        assert tried[-1] == status
        wanted.read_trial(b"p", tried)
        assert b"p" not in wanted.broken
        assert client.query("execute p") == []


def test_an_unnamed_statement_whose_table_is_locked_works_later(
    awake: Database, changing: WireClient
) -> None:
    changing.query("begin; lock changing")
    with backend(awake) as client:
        wanted = Restore(NOTHING_HELD, wire.parse("", "select a from changing"))
        script = wanted.first()
        assert wanted.read_first(script, messages_of(client, script.data, len(script.parts)))
        assert b"C55P03" in wanted.broken[UNNAMED].error.split(b"\0")
        changing.query("insert into changing values (1); commit")
        wanted.read_trial(UNNAMED, client.ask(TRANSACTION.around(wanted.trial(UNNAMED))))
        assert not wanted.broken
        said = client.ask(wire.bind("") + wire.execute() + wire.SYNC)
        assert [kind for kind, _ in said] == [b"2", b"D", b"C", b"Z"]
