"""The unnamed statement as Postgres has it, whatever failed and however late it is walked."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torpor_proxy.core import wire
from torpor_proxy.core.exchange import INSPECTED_BYTES_MAX, Exchange
from torpor_proxy.core.unnamed import OPEN_BYTES_MAX, Change, Unnamed
from torpor_proxy.core.wire import message

ERROR = message(b"E", b"SERROR\0\0")
READY = wire.ready_for_query()


@dataclass(frozen=True)
class Step:
    """A client's message and what the server makes of it."""

    data: bytes
    fails: bool = False
    """When it is executed."""
    fails_early: bool = False
    """Before it has had any effect: its text is no text in the client's encoding."""
    begins_copy: bool = False


QUERY, CALL, SYNC = message(b"Q", b"select 1\0"), message(b"F", b"\0" * 8), Step(wire.SYNC)
BIND, RUN = Step(wire.bind("")), Step(wire.execute())
CLOSE, CLOSE_NAMED = wire.close_statement(""), wire.close_statement("s")
COPY = Step(wire.execute(), begins_copy=True)
DATA, DONE, FAIL = (Step(message(kind)) for kind in (b"d", b"c", b"f"))

ANY = [
    *(Step(data, fails) for fails in (False, True) for data in (QUERY, CALL, BIND.data, RUN.data)),
    *(Step(data, fails) for fails in (False, True) for data in (CLOSE, CLOSE_NAMED)),
    *(Step(wire.parse("s", "x"), fails) for fails in (False, True)),
    Step(QUERY, fails_early=True),
    Step(message(b"C", b"P\0")),
    *(Step(message(kind)) for kind in (b"H", b"D")),
    *(Step(data, fails, begins_copy=True) for fails in (False, True) for data in (QUERY, RUN.data)),
    *(DATA, DONE, FAIL, SYNC, SYNC, SYNC, SYNC),
]


def parse(number: int) -> Step:
    """Texts differ by ``number``."""
    return Step(wire.parse("", f"select {number}"))


SCENES = st.one_of(
    st.sampled_from(ANY).map(lambda step: [step]),
    st.sampled_from(ANY).map(lambda step: [step]),
    st.builds(lambda n: [parse(n)], st.integers(0, 99)),
    st.builds(lambda n, *how: [Step(parse(n).data, *how)], st.integers(0, 99), st.just(True)),
    st.builds(lambda n: [Step(parse(n).data, fails_early=True)], st.integers(0, 99)),
    st.builds(lambda n: [parse(n), BIND, RUN, SYNC], st.integers(0, 99)),
    st.builds(lambda n: [parse(n), SYNC, BIND, RUN, SYNC], st.integers(0, 99)),
    st.sampled_from(
        [
            [BIND, COPY, DATA, DONE, SYNC],
            [BIND, COPY, SYNC, DATA, DONE, SYNC],
            [BIND, COPY, DATA, SYNC, DATA, SYNC, FAIL, SYNC],
            [Step(QUERY, begins_copy=True), DATA, DONE],
        ]
    ),
)
SCRIPTS = st.lists(SCENES, max_size=12).map(lambda scenes: [step for s in scenes for step in s])


@dataclass
class Server:
    """Postgres, as far as the unnamed statement goes."""

    unnamed: bytes | None = None
    skips: bool = False
    copies: Step | None = None
    said: list[bytes] = field(default_factory=list)
    is_dead: bool = False

    def execute(self, step: Step) -> None:
        kind = step.data[:1]
        if self.copies is not None:
            self._copy(kind, self.copies)
        elif kind == b"S":
            self.skips = False
            self.said.append(READY)
        elif not self.skips and kind not in b"dcfH":
            self._do(kind, step)

    def _copy(self, kind: bytes, copy: Step) -> None:
        if kind in b"SHd" and not (kind == b"d" and copy.fails):
            return
        self.copies = None
        if kind in b"cfd":
            is_done = kind == b"c" and not copy.fails
            self._end(copy, message(b"C", b"COPY 1\0") if is_done else ERROR)
        else:
            self.is_dead = True  # A message that has no place in a copy ends the session.

    def _do(self, kind: bytes, step: Step) -> None:
        if not step.fails_early:
            self._take_effect(kind, step)
        if step.begins_copy:
            self.said.append(message(b"G", b"\0\0\0"))
            self.copies = step
        elif step.fails or step.fails_early:
            self._end(step, ERROR)
        else:
            answers = {b"P": b"1", b"B": b"2", b"E": b"C", b"C": b"3", b"D": b"n", b"Q": b"C"}
            self._end(step, message(answers.get(kind, b"V"), b"\0"))

    def _take_effect(self, kind: bytes, step: Step) -> None:
        if kind == b"Q":
            self.unnamed = None
        elif kind == b"P" and step.data[5] == 0:
            self.unnamed = None if step.fails else step.data
        elif step.data == wire.close_statement("") and not step.fails:
            self.unnamed = None

    def _end(self, step: Step, answer: bytes) -> None:
        is_simple = step.data[:1] in b"QF"
        self.said.append(answer + READY * is_simple)
        self.skips = answer is ERROR and not is_simple


def check(exchange: Exchange, server: Server) -> None:
    if exchange.unnamed_is_sure:
        assert exchange.unnamed == server.unnamed
    else:
        assert server.unnamed in (exchange.unnamed, None)


def play(script: list[Step], lateness: Random) -> int:
    """Walk a session, answers at random times after their questions; how often it was safe."""
    exchange, server = Exchange(), Server()
    waiting: list[bytes] = []
    checks = 0
    for step in [*script, FAIL, SYNC]:
        server.execute(step)
        if server.is_dead:
            break
        exchange.client_sent(step.data)
        waiting += server.said
        server.said.clear()
        while waiting and lateness.random() < 0.4:
            exchange.server_sent(waiting.pop(0))
        if lateness.random() < 0.2:
            _ = exchange.unnamed  # Asking changes nothing.
        if not waiting and exchange.is_safe:
            checks += 1
            check(exchange, server)
    for said in waiting:
        exchange.server_sent(said)
    if exchange.is_safe and not server.is_dead:
        checks += 1
        check(exchange, server)
    return checks


@settings(max_examples=1000)
@given(SCRIPTS, st.randoms(use_true_random=False))
def test_it_is_what_the_server_has(script: list[Step], lateness: Random) -> None:
    play(script, lateness)


@pytest.mark.parametrize("seed", range(8))
def test_a_copy_s_end_that_came_before_the_copy_is_not_taken_for_it(seed: int) -> None:
    script = [BIND, DONE, COPY, SYNC, DONE, parse(0), COPY, DONE]
    assert play(script, Random(seed)) == 0, "nobody knows: it never counts as safe"


# --- how sure it is ------------------------------------------------------------------------

A, B = parse(1), parse(2)
BAD_B = Step(B.data, fails=True)
BAD_BIND = Step(BIND.data, fails=True)
NAMED, BAD_NAMED = Step(wire.parse("s", "x")), Step(wire.parse("s", "x"), fails=True)
BAD_QUERY = Step(QUERY, fails=True)

SURE = {
    "none ever": ([SYNC], None),
    "parsed": ([A, SYNC], A),
    "parsed, and executed later": ([A, SYNC, BIND, RUN, SYNC], A),
    "two": ([A, B, SYNC], B),
    "a named one between": ([A, NAMED, SYNC], A),
    "its execution fails": ([A, BAD_BIND, SYNC], A),
    "a named one fails": ([A, SYNC, BAD_NAMED, SYNC], A),
    "a query drops it": ([A, SYNC, Step(QUERY)], None),
    "a query is skipped": ([A, BAD_BIND, SYNC, B, SYNC], B),
    "closed": ([A, Step(CLOSE), SYNC], None),
    "closed before it": ([Step(CLOSE), A, SYNC], A),
    "closed later": ([A, SYNC, Step(CLOSE), SYNC], None),
    "another is closed": ([A, Step(CLOSE_NAMED), SYNC], A),
    "a function call": ([A, SYNC, Step(CALL)], A),
    "one fails, another does not": ([A, SYNC, BAD_B, SYNC, A, SYNC], A),
    "one fails, a query follows": ([A, SYNC, BAD_B, SYNC, Step(QUERY)], None),
    "only one, and it fails": ([BAD_B, SYNC], None),
    "closed, and another": ([A, Step(CLOSE), B, SYNC], B),
    "behind a copy": ([A, BIND, COPY, SYNC, DATA, DONE, SYNC, B, SYNC], B),
}

UNSURE = {
    "the next one fails": [A, SYNC, BAD_B, SYNC],
    "the next one fails behind a named one": [A, SYNC, NAMED, BAD_B, SYNC],
    "it fails before its effect": [A, SYNC, Step(B.data, fails_early=True), SYNC],
    "it is skipped": [A, SYNC, BAD_BIND, B, SYNC],
    "a Close is skipped or not": [A, Step(CLOSE), BAD_BIND, SYNC],
    "a query fails": [A, SYNC, BAD_QUERY],
}


@pytest.mark.parametrize("lateness", [0, 1, 2])
@pytest.mark.parametrize(("script", "kept"), SURE.values(), ids=SURE.keys())
def test_it_is_known_for_certain(script: list[Step], kept: Step | None, lateness: int) -> None:
    exchange = played(script, lateness)
    assert exchange.unnamed_is_sure
    assert exchange.unnamed == (kept and kept.data)


def test_what_is_sent_after_an_error_is_skipped_for_certain() -> None:
    exchange = played(UNSURE["it is skipped"], 0)
    assert (exchange.unnamed_is_sure, exchange.unnamed) == (True, A.data)


@pytest.mark.parametrize("lateness", [1, 2])
@pytest.mark.parametrize("script", UNSURE.values(), ids=UNSURE.keys())
def test_only_the_server_knows(script: list[Step], lateness: int) -> None:
    exchange = played(script, lateness)
    assert (exchange.unnamed_is_sure, exchange.unnamed) == (False, A.data)
    exchange.unnamed_found(exists=True)
    assert (exchange.unnamed_is_sure, exchange.unnamed) == (True, A.data)
    exchange.unnamed_found(exists=False)
    assert (exchange.unnamed_is_sure, exchange.unnamed) == (True, None)


def played(script: list[Step], lateness: int) -> Exchange:
    """Answers are walked after each message, after every second one, or all at the end."""
    exchange, server = Exchange(), Server()
    for number, step in enumerate(script):
        server.execute(step)
        exchange.client_sent(step.data)
        if number % 2 >= lateness:
            exchange.server_sent(b"".join(server.said))
            server.said.clear()
    exchange.server_sent(b"".join(server.said))
    assert exchange.is_safe
    return exchange


# --- bounds ----------------------------------------------------------------------------------


def test_a_long_text_is_not_kept_but_known_to_be_there() -> None:
    long = wire.parse("", "x" * INSPECTED_BYTES_MAX)
    assert played([A, Step(long), SYNC], 1).unnamed == b""
    assert played([Step(long), A, SYNC], 1).unnamed == A.data
    named = Step(wire.parse("s", "x" * INSPECTED_BYTES_MAX))
    assert played([A, named, SYNC], 1).unnamed == A.data


def test_what_is_kept_of_a_client_that_sends_far_ahead_is_bounded() -> None:
    exchange, text = Exchange(), wire.parse("", "x" * 1000)
    number = OPEN_BYTES_MAX // len(text) + 1
    for _ in range(number):
        exchange.client_sent(text)
    for _ in range(number):
        exchange.server_sent(message(b"1"))
    exchange.client_sent(wire.SYNC + A.data + wire.SYNC)
    exchange.server_sent(READY)
    assert (exchange.unnamed, exchange.unnamed_is_sure) == (b"", False)
    exchange.server_sent(message(b"1") + READY)
    assert (exchange.unnamed, exchange.unnamed_is_sure) == (A.data, True)


def test_what_was_answered_costs_nothing_any_more() -> None:
    exchange, text = Exchange(), wire.parse("", "x" * 1000)
    for _ in range(2 * OPEN_BYTES_MAX // len(text)):
        exchange.client_sent(text + CLOSE + wire.SYNC)
        exchange.server_sent(message(b"1") + message(b"3") + READY)
    exchange.client_sent(text + wire.SYNC)
    exchange.server_sent(message(b"1") + READY)
    assert (exchange.unnamed, exchange.unnamed_is_sure) == (text, True)


def test_an_answer_that_no_server_gives_leaves_a_doubt() -> None:
    unnamed = Unnamed()
    unnamed.sent(0, A.data)
    unnamed.settle(1)
    assert (unnamed.candidate, unnamed.is_sure) == (b"", False)
    unnamed.sent(1, Change.DROP)
    unnamed.settle(2)
    assert (unnamed.candidate, unnamed.is_sure) == (None, True)
