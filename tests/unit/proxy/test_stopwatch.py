"""How long each query took, though its bytes are walked late and many at once."""

from __future__ import annotations

from itertools import accumulate
from operator import sub
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.messages.latency import BOUNDS_S, BUCKETS
from torpor_proxy.core import wire
from torpor_proxy.core.exchange import Exchange
from torpor_proxy.core.stopwatch import Stopwatch, Tally
from torpor_proxy.core.wire import message

READY = wire.ready_for_query()
ROW, DONE = message(b"D", b"\0\1\0\0\0\1x"), message(b"C", b"SELECT 1\0")
ERROR = wire.report(wire.Severity.ERROR, "22012", "division by zero")
PARSE, BIND, FLUSH = wire.parse("", "select 1"), wire.bind("") + wire.execute(), message(b"H")
COPY_DATA, COPY_DONE, COPY_IN = message(b"d", b"1\n"), message(b"c"), message(b"G", b"\0\0\1\0\0")


def query(sql: str = "select 1") -> bytes:
    return message(b"Q", sql.encode() + b"\0")


class Seen(Tally):
    """Keeps each, in the order of the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.each: list[float] = []

    def add(self, seconds: list[float]) -> None:
        self.each += seconds
        super().add(seconds)


class Passing:
    """Buffers of one session as they pass, and the walk over them when it is asked for."""

    def __init__(self) -> None:
        self.exchange = Exchange()
        self.seen = Seen()
        self._stopwatch = Stopwatch(self.seen)
        self._sent: list[bytes] = []
        self._sent_at: list[float] = []
        self._answered: list[bytes] = []
        self._answered_at: list[float] = []

    def client(self, at: float, data: bytes) -> None:
        self._sent.append(data)
        self._sent_at.append(at)

    def server(self, at: float, data: bytes) -> None:
        self._answered.append(data)
        self._answered_at.append(at)

    def walk(self) -> None:
        if self._sent:
            begun = self.exchange.client_sent(b"".join(self._sent))
            self._stopwatch.begun(begun, self._sent, self._sent_at)
        if self._answered:
            ended = self.exchange.server_sent(b"".join(self._answered))
            self._stopwatch.ended(ended, self._answered, self._answered_at)
        self._stopwatch.owed(self.exchange.in_flight)
        for kept in (self._sent, self._sent_at, self._answered, self._answered_at):
            kept.clear()

    @property
    def took(self) -> list[float]:
        """Of each query that has ended."""
        self.walk()
        return self.seen.each


@pytest.fixture
def passing() -> Passing:
    return Passing()


def test_each_of_many_that_are_walked_together(passing: Passing) -> None:
    for at in range(0, 100, 10):
        passing.client(at, query())
        passing.server(at + at / 100, ROW + DONE + READY)
    assert passing.took == pytest.approx([at / 100 for at in range(0, 100, 10)])


def test_an_answer_in_pieces_ends_with_its_last(passing: Passing) -> None:
    passing.client(0, query())
    for at, piece in ((1, ROW), (2, ROW + DONE + READY[:3]), (3, READY[3:])):
        passing.server(at, piece)
    assert passing.took == [3]


def test_a_query_in_pieces_begins_with_its_first(passing: Passing) -> None:
    passing.client(0, query()[:9])
    passing.client(1, query()[9:])
    passing.server(5, DONE + READY)
    assert passing.took == [5]


def test_a_batch_begins_with_its_first_message_and_ends_after_its_sync(passing: Passing) -> None:
    passing.client(0, PARSE + FLUSH)
    passing.server(1, message(b"1"))
    passing.client(2, BIND + FLUSH)
    passing.server(3, ROW + DONE)
    assert passing.exchange.in_flight == 0  # Nothing was walked yet.
    assert passing.took == []
    assert passing.exchange.in_flight == 1
    passing.client(4, wire.SYNC)
    passing.server(5, READY)
    assert passing.took == [5]
    assert passing.exchange.in_flight == 0


def test_as_many_queries_as_buffers_need_not_be_one_in_each(passing: Passing) -> None:
    passing.client(0, query() + query()[:20])
    passing.client(1, query()[20:])
    passing.server(2, ROW)
    passing.server(3, DONE + READY + DONE + READY)
    assert passing.took == [3, 3]


def test_each_sync_of_a_pipeline_is_answered_by_itself(passing: Passing) -> None:
    passing.client(0, (PARSE + BIND + wire.SYNC) * 2 + PARSE)
    passing.client(1, BIND + wire.SYNC)
    passing.server(2, DONE + READY)
    passing.server(4, DONE + READY + DONE + READY)
    assert passing.took == [2, 4, 4]


def test_a_sync_alone_and_a_function_call_are_answered_too(passing: Passing) -> None:
    passing.client(0, wire.SYNC)
    passing.server(1, READY)
    passing.client(2, message(b"F", b"\0\0\4\xd2\0\0\0\0\0\0"))
    passing.server(4, message(b"V", b"\0\0\0\0") + READY)
    assert passing.took == [1, 2]


def test_one_that_fails_took_time_as_well(passing: Passing) -> None:
    passing.client(0, query("select 1/0"))
    passing.server(2, ERROR + READY)
    passing.client(3, PARSE + BIND + FLUSH)
    passing.server(4, ERROR)
    passing.client(5, PARSE + BIND + wire.SYNC)  # The server skips all of it but the Sync.
    passing.server(6, READY)
    assert passing.took == [2, 3]


def test_a_copy_lasts_until_its_data_are_in(passing: Passing) -> None:
    passing.client(0, query("copy t from stdin"))
    passing.server(1, COPY_IN)
    passing.client(2, COPY_DATA)
    passing.client(3, COPY_DATA + COPY_DONE)
    passing.server(4, DONE + READY)
    assert passing.took == [4]


def test_a_sync_that_a_copy_passes_over_is_no_query(passing: Passing) -> None:
    passing.client(0, wire.parse("", "copy t from stdin") + BIND + wire.SYNC)
    passing.walk()
    passing.server(1, COPY_IN)
    passing.client(2, COPY_DATA + COPY_DONE + wire.SYNC)
    passing.server(3, DONE + READY)
    passing.walk()
    passing.client(10, query())
    passing.server(11, DONE + READY)
    assert passing.took == [3, 1]


def test_what_the_server_says_on_its_own_account_ends_nothing(passing: Passing) -> None:
    passing.server(1, wire.parameter_status("application_name", "x"))
    passing.client(2, query())
    passing.server(3, message(b"N", b"\0") + DONE + READY)
    assert passing.took == [1]


SCENES = {
    "simple": ([query()], [ROW + DONE + READY]),
    "extended": ([PARSE + BIND + wire.SYNC], [message(b"1") + DONE + READY]),
    "pipeline": ([PARSE + BIND + wire.SYNC, query()], [DONE + READY, DONE + READY]),
    "failing": ([query("select 1/0")], [ERROR + READY]),
    "large": ([query("x" * 50)], [ROW + ROW + DONE + READY]),
}
"""What the client says of each query, and what the server does."""


@given(
    st.lists(st.sampled_from(sorted(SCENES)), max_size=12),
    st.lists(st.integers(1, 40), min_size=1),
    st.randoms(use_true_random=False),
)
def test_late_is_exact(names: list[str], sizes: list[int], random: Random) -> None:
    """However the bytes are cut into buffers, of which each passes at a time of its own."""
    late, at_once = Passing(), Passing()
    now, begun, ended = 0, list[int](), list[int]()
    for name in names:
        for side, parts in zip(("client", "server"), SCENES[name], strict=True):
            passed_at = list[int]()  # Of each byte.
            data = b"".join(parts)
            while len(passed_at) < len(data):
                piece = data[len(passed_at) :][: random.choice(sizes)]
                now += random.randint(1, 9)
                passed_at += [now] * len(piece)
                for passing in (late, at_once):
                    getattr(passing, side)(now, piece)
                at_once.walk()
            ends = list(accumulate(map(len, parts)))
            if side == "client":
                begun += [passed_at[begin] for begin in [0, *ends[:-1]]]
            else:
                ended += [passed_at[end - 1] for end in ends]
    assert late.took == list(map(sub, ended, begun))
    assert len(at_once.took) == len(ended)
    # A message whose head is torn begins where the rest of it is walked at the latest.
    assert all(one <= other for one, other in zip(at_once.took, late.took, strict=True))


def test_latencies_are_counted_in_the_buckets_of_their_bounds() -> None:
    tally = Tally()
    tally.add([])
    tally.add([100.0, 0.0, *BOUNDS_S])
    assert tally.totals().buckets == (2, *(1,) * (BUCKETS - 1))
    tally.add([100.0])
    other = Tally()
    other.add_all(tally)
    other.add_all(tally)
    told = other.totals()
    assert (told.count, told.buckets[-1]) == (2 * (BUCKETS + 2), 4)
    assert told.sum_s == pytest.approx(2 * (200 + sum(BOUNDS_S)))
