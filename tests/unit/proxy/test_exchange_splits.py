"""However TCP cuts the two streams, what is known at the end is the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from torpor_proxy.core import wire
from torpor_proxy.core.exchange import Exchange

CLIENT = st.one_of(
    st.builds(wire.message, st.sampled_from([b"Q", b"F", b"d"]), st.binary(max_size=20)),
    st.builds(wire.parse, st.sampled_from(["", "", "s"]), st.just("select 1")),
    st.sampled_from([wire.message(kind) for kind in (b"B", b"E", b"D", b"C", b"H", b"c", b"f")]),
    st.just(wire.SYNC),
)

SERVER = st.one_of(
    st.builds(wire.ready_for_query, st.sampled_from([b"I", b"I", b"I", b"T", b"E"])),
    st.builds(wire.message, st.sampled_from([b"D", b"d"]), st.binary(max_size=20)),
    st.builds(wire.parameter_status, st.sampled_from(["a", "b"]), st.sampled_from(["1", ""])),
    st.sampled_from([wire.message(kind, b"x\0") for kind in (b"E", b"N", b"C", b"1", b"G")]),
)

TURNS = st.lists(
    st.one_of(
        st.tuples(st.just(True), st.lists(CLIENT, max_size=8).map(b"".join)),
        st.tuples(st.just(False), st.lists(SERVER, max_size=8).map(b"".join)),
    ),
    max_size=10,
)

Turn = tuple[bool, bytes]


def seen_by(exchange: Exchange, turns: list[Turn], cuts: list[int]) -> tuple[object, ...]:
    """What is known at the end; each turn arrives in pieces of the sizes in ``cuts``, in turn."""
    told: list[bytes] = []
    sizes = cuts or [1 << 20]
    for number, (is_client, data) in enumerate(turns):
        position = 0
        while position < len(data):
            size = sizes[(number + position) % len(sizes)]
            piece = data[position : position + size]
            position += size
            if is_client:
                exchange.client_sent(piece)
            else:
                exchange.server_sent(piece, told.append)
    known = [getattr(exchange, name) for name in sorted(Exchange.__slots__)]
    return (*known, exchange.is_safe, exchange.is_idle, told)


@given(TURNS, st.lists(st.integers(1, 30), min_size=1, max_size=5))
def test_streams_cut_anywhere(turns: list[Turn], cuts: list[int]) -> None:
    assert seen_by(Exchange(), turns, cuts) == seen_by(Exchange(), turns, [])


@given(TURNS)
def test_streams_byte_by_byte(turns: list[Turn]) -> None:
    assert seen_by(Exchange(), turns, [1]) == seen_by(Exchange(), turns, [])


@given(TURNS)
def test_it_never_promises_less_than_nothing_and_forgets_what_was_answered(
    turns: list[Turn],
) -> None:
    exchange = Exchange()
    seen_by(exchange, turns, [])
    exchange.client_sent(wire.message(b"f") + wire.SYNC)
    for _ in range(len(exchange.promises) + 1):
        exchange.server_sent(wire.ready_for_query())
    assert exchange.is_idle and exchange.promises == b""
