"""Safe points from headers alone: scripts of real clients, and every way in which answers come.

``C`` in the names of steps is the client, ``S`` the server. That the same holds for a real server's
answers is checked in ``tests/integration/test_proxy_real_postgres.py``.
"""

from __future__ import annotations

import pytest

from torpor_proxy.core import wire
from torpor_proxy.core.exchange import INSPECTED_BYTES_MAX, Exchange
from torpor_proxy.core.wire import Malformed, is_message_head


def client(kinds: str) -> bytes:
    return b"".join(
        wire.message(kind.encode(), b"" if kind in "HS" else b"\0" * 8) for kind in kinds
    )


def server(kinds: str) -> bytes:
    """``Z`` is ReadyForQuery in a transaction's absence, ``t`` inside of one, ``e`` in a failed."""
    statuses = {"Z": b"I", "t": b"T", "e": b"E"}
    return b"".join(
        wire.ready_for_query(statuses[kind])
        if kind in statuses
        else wire.message(kind.encode(), b"a\0b\0")
        for kind in kinds
    )


def played(script: str) -> Exchange:
    """``C:PBS S:12CZ``: each word one side's messages."""
    exchange = Exchange()
    for word in script.split():
        side, _, kinds = word.partition(":")
        if side == "C":
            exchange.client_sent(client(kinds))
        else:
            exchange.server_sent(server(kinds))
    return exchange


SAFE = {
    "a simple query": "C:Q S:TDDCZ",
    "a simple query that fails": "C:Q S:EZ",
    "two simple queries at once": "C:QQ S:CZ S:CZ",
    "an extended query": "C:PBDES S:12TDCZ",
    "one that fails": "C:PBDES S:1EZ",
    "one that fails before its Sync is sent": "C:PBDE S:1E C:BES S:Z",
    "asyncpg prepares, then executes": "C:PDS S:1tTZ C:BES S:2DCZ",
    "psycopg with Flush, Sync later": "C:PBDEH S:12TDC C:S S:Z",
    "a pipeline of three": "C:PBES C:PBES C:PBES S:12CZ S:12CZ S:12CZ",
    "the first of a pipeline fails": "C:PBES C:PBES S:EZ S:12CZ",
    "a simple query behind a pipeline": "C:PBESQ S:12CZ S:CZ",
    "a transaction": "C:Q S:Ct C:Q S:Ct C:Q S:CZ",
    "a transaction that fails": "C:Q S:Ct C:Q S:Ee C:Q S:CZ",
    "copy out": "C:Q S:HddcCZ",
    "copy in": "C:Q S:G C:dddc S:CZ",
    "copy in that the client breaks off": "C:Q S:G C:df S:EZ",
    "copy in that the server breaks off": "C:Q S:G C:dd S:E S:Z C:ddc",
    "its end is on the way when it fails": "C:Q S:G C:dd S:E C:ddc S:Z",
    "copy in sent ahead": "C:Qddc S:GCZ",
    "two copies in one query sent ahead": "C:Qdcdc S:GCGCZ",
    "two copies in one query": "C:Q S:G C:dc S:CG C:dc S:CZ",
    "libpq's extended copy in: its first Sync is passed over": "C:PBDES S:12G C:ddcS S:CZ",
    "the same sent ahead": "C:PBESdcS S:12GCZ",
    "a Sync in the middle of the copy": "C:PBE S:12G C:dSdcS S:CZ",
    "a Flush in the middle of the copy": "C:Q S:G C:dHdc S:CZ",
    "a Flush in a copy that fails, and another copy is on its way": "C:QdHdcPBESdcS S:GEZ S:12GCZ",
    "a Flush is not answered": "C:H C:Q S:CZ",
    "a copy that failed is not copied into": "C:Q S:G C:d S:EZ C:dc C:Q S:CZ",
    "a function call": "C:F S:VZ",
    "a function call that fails": "C:F S:EZ",
    "a lone Sync": "C:S S:Z",
    "an error of the Sync itself": "C:PBES S:12CEZ",
    "a Sync, then a query, both fail": "C:SQ S:EZ S:EZ",
    "notices and notifications in between": "C:Q S:NTASDNCZ S:A",
    "messages after an error are skipped": "C:PBE S:E C:PBDECHQF C:S S:Z",
    "CopyDone without a copy": "C:c C:Q S:CZ C:Qc S:CZ C:Qcc C:Q S:CZ S:CZ",
}


@pytest.mark.parametrize("script", SAFE.values(), ids=SAFE.keys())
def test_at_the_end_it_is_safe_and_not_before(script: str) -> None:
    exchange = played(script)
    assert exchange.is_safe and exchange.is_idle and not exchange.is_unclear
    assert exchange.queries == sum(
        script.partition(":")[2].count(kind) for kind in "te"
    ) + server_readies(script)
    words = script.split()
    open_at = max(n for n, word in enumerate(words) if word.endswith("Z"))
    assert not played(" ".join(words[:open_at])).is_safe


def server_readies(script: str) -> int:
    return sum(word.count("Z") for word in script.split() if word.startswith("S:"))


UNSAFE = {
    "a query that is not answered": "C:Q",
    "an answer that is not over": "C:Q S:TD",
    "the second query is not answered": "C:QQ S:CZ",
    "in a transaction": "C:Q S:Ct",
    "in a failed transaction": "C:Q S:Ee",
    "no Sync yet": "C:PBE S:12C",
    "Flush is no Sync": "C:PBEH S:12C",
    "a portal is open without a Sync": "C:PBES S:12CZ C:B S:2",
    "an error waits for a Sync": "C:PBE S:E",
    "an error waits for a Sync, whatever else is sent": "C:PBE S:E C:QPBE",
    "a copy in is on": "C:Q S:G",
    "a copy in is on, with data": "C:Q S:G C:dd",
    "a copy in is over and not answered": "C:Q S:G C:dc",
    "a replication stream": "C:Q S:W",
    "a copy in without a Sync behind it": "C:PBE S:12G C:dc S:C",
    "a Sync that a copy passed over": "C:PBES S:12G C:dc S:C",
    "the client has said farewell": "C:X",
    "a second pipeline is not answered": "C:PBES C:PBES S:12CZ",
    "the second of a pipeline after an error in the first": "C:PBES C:PBES S:EZ",
}


@pytest.mark.parametrize("script", UNSAFE.values(), ids=UNSAFE.keys())
def test_it_is_not_safe(script: str) -> None:
    assert not played(script).is_safe


UNCLEAR = {
    "is the error the pipeline's or the simple query's?": "C:PBEQ S:E",
    "or the function call's?": "C:PBEF S:E",
    "was the Sync read before the copy failed, or after?": "C:PBE S:12G C:dSd S:E",
    "the same in a simple query": "C:Q S:G C:dSd S:E",
    "the same with the first Sync sent ahead": "C:PBESd S:12G C:S S:E",
    "the same with the end of the copy on its way": "C:PBESdSc S:12G S:E",
}


@pytest.mark.parametrize("script", UNCLEAR.values(), ids=UNCLEAR.keys())
def test_where_answers_can_not_be_told_apart_it_is_never_safe_again(script: str) -> None:
    assert played(script).is_unclear
    assert not played(script + " S:Z C:S S:Z C:Q S:CZ").is_safe


def test_a_flush_with_a_body_is_an_error_behind_which_the_server_skips() -> None:
    exchange = Exchange()
    exchange.client_sent(wire.message(b"H", b"\0"))
    exchange.server_sent(server("E"))
    assert exchange.is_unclear and not exchange.is_safe


# --- messages in parts ---------------------------------------------------------------------


@pytest.mark.parametrize("at", range(1, 13))
def test_a_part_of_a_client_s_message_is_not_safe(at: int) -> None:
    exchange = Exchange()
    exchange.client_sent(client("d")[:at])
    assert (exchange.is_safe, exchange.is_within_client_message) == (False, True)
    exchange.client_sent(client("d")[at:])
    assert (exchange.is_safe, exchange.is_within_client_message) == (True, False)


@pytest.mark.parametrize("kind", ["N", "A", "S", "Z", "D", "E"])
def test_a_part_of_a_server_s_message_is_not_safe(kind: str) -> None:
    whole = server(kind)
    for at in range(1, len(whole)):
        exchange = Exchange()
        exchange.server_sent(whole[:at])
        assert not (exchange.is_safe or exchange.is_between_server_messages)
        exchange.server_sent(whole[at:])
        assert all((exchange.is_safe, exchange.is_between_server_messages))


# --- what else it sees -----------------------------------------------------------------------


def test_each_parameter_status_is_told_whole_wherever_it_is_cut() -> None:
    told: list[bytes] = []
    messages = [wire.parameter_status("a", "1"), wire.parameter_status("b", "2")]
    stream = wire.message(b"C", b"SET\0").join(messages) + wire.ready_for_query()
    for at in range(len(stream)):
        told.clear()
        exchange = Exchange()
        exchange.server_sent(stream[:at], told.append)
        assert exchange.server_sent(stream[at:], told.append)
        assert told == messages


PARSE, READY = wire.parse("", "select 1"), wire.ready_for_query()


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        (PARSE, PARSE),
        (PARSE + wire.SYNC + wire.bind("") + wire.execute(), PARSE),
        (wire.parse("named", "select 1"), None),
        (PARSE + wire.parse("named", "select 2"), PARSE),
        (wire.parse("", "select 0") + PARSE, PARSE),
        (PARSE + wire.close_statement(""), None),
        (PARSE + wire.close_statement("named"), PARSE),
        (PARSE + wire.message(b"C", b"P\0"), PARSE),
        (wire.close_statement("") + PARSE, PARSE),
        (wire.parse("", "x" * INSPECTED_BYTES_MAX), b""),
        (wire.parse("", "x" * INSPECTED_BYTES_MAX) + PARSE, PARSE),
        (wire.parse("named", "x" * INSPECTED_BYTES_MAX), None),
    ],
)
@pytest.mark.parametrize("size", [1, 5, 6, 7, 1000, 1 << 20])
def test_the_unnamed_statement_wherever_its_parse_is_cut(
    sent: bytes, kept: bytes | None, size: int
) -> None:
    """What failures do to it: ``test_unnamed.py``."""
    exchange = Exchange()
    sent += wire.SYNC
    for start in range(0, len(sent), size):
        exchange.client_sent(sent[start : start + size])
    answers = {b"P": b"1", b"B": b"2", b"E": b"C", b"C": b"3"}
    for kind, _ in wire.split(sent)[0]:
        exchange.server_sent(READY if kind == b"S" else wire.message(answers[kind]))
    assert (exchange.is_safe, exchange.unnamed, exchange.unnamed_is_sure) == (True, kept, True)


def test_the_server_hanging_up_surprises_nobody_after_an_error_or_a_farewell() -> None:
    assert not played("C:Q").is_over
    assert played("C:Q S:E").is_over
    assert not played("C:Q S:EZ").is_over
    assert played("C:X").is_over


def test_an_error_out_of_the_blue_leaves_it_over() -> None:
    assert played("C:Q S:CZ S:E").is_over


# --- garbage ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n",
        b"\0\0\0\0\0",
        b"Q\0\0\0\0",
        b"Q\0\0\0\3",
        b"Q\x80\0\0\0",
        b"Q\xff\xff\xff\xff",
        b"Q\x40\0\0\1",
        b"Z\0\0\0\5I",
        b"p\0\0\0\5x",
        b"\xff" * 5,
    ],
)
def test_what_is_no_message(garbage: bytes) -> None:
    assert not is_message_head(garbage[:5])
    with pytest.raises(Malformed, match="message type"):
        Exchange().client_sent(client("QS") + garbage)
    split = Exchange()
    split.client_sent(garbage[:4])
    with pytest.raises(Malformed):
        split.client_sent(garbage[4:])


@pytest.mark.parametrize("kind", "QSFPBDECHXdcf")
def test_what_may_be_one(kind: str) -> None:
    assert is_message_head(kind.encode() + b"\0\0\0\4")
    assert is_message_head(bytearray(kind.encode() + b"\x3f\xff\xff\xfe"))
