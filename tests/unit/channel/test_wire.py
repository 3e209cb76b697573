"""Lines of the control channel: what is written is read, and anything else is Malformed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api import messages as m
from torpor_api.chain import Step
from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.failures import Failure, Holder, InvalidRequest
from torpor_api.manifest import parse_resource
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseSpec, DatabaseStatus
from torpor_channel import wire

RESOURCE = parse_resource({"metadata": {"name": "shop"}, "spec": {"idleTimeout": "1001ms"}})
FACTS = LoginFacts(roles=(RoleFacts(name="app", verifier="SCRAM-SHA-256$…"),), databases=("app",))

REQUESTS: list[m.Request[Any]] = [
    m.Wake(name="shop", cause="a query"),
    m.WriteStatus(name="shop", resource_version="7", status=DatabaseStatus(phase=Phase.ACTIVE)),
    m.StoreLoginFacts(name="shop", epoch=3, facts=FACTS),
    m.StartCompute(
        database="shop",
        epoch=3,
        storage=m.StoragePlace(directory="/d", user_id=40_000),
        spec=DatabaseSpec(idle_timeout="5m"),
        generation=1,
    ),
    m.CloseGate(name="shop", epoch=3, hold_s=2.5),
]
EVENTS: list[m.Event] = [
    m.ResourceChanged(resource=RESOURCE),
    m.EndpointChanged(endpoint=m.EndpointInfo(name="shop", phase=Phase.SUSPENDED, facts=FACTS)),
    m.ProxySample(proxy="p", samples=(m.EndpointSample(name="shop", epoch=3),)),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda each: type(each).__name__)
def test_a_request_is_the_same_on_the_other_side(request_: m.Request[Any]) -> None:
    assert wire.decode(wire.encode_ask(7, request_)) == wire.Ask(7, request_)


@pytest.mark.parametrize("event", EVENTS, ids=lambda each: type(each).__name__)
def test_an_event_is_the_same_on_the_other_side(event: m.Event) -> None:
    assert wire.decode(wire.encode_tell(event)) == wire.Tell(event)


def test_an_answer_is_the_same_on_the_other_side() -> None:
    reply = m.Stopped(steps=(Step(name="stop", where="postgres", ms=10.5),), facts=FACTS)
    answer = wire.decode(wire.encode_answer(7, reply))
    assert isinstance(answer, wire.Answer) and answer.id == 7
    assert m.Stopped.model_validate(answer.body) == reply


@pytest.mark.parametrize("kind", sorted(Failure.by_kind))
def test_a_failure_is_the_same_on_the_other_side(kind: str) -> None:
    sent = Failure.by_kind[kind]('says "no"\nand more', hint="€", holder=Holder(7, "c1"))
    received = wire.decode(wire.encode_fail(7, sent))
    assert isinstance(received, wire.Fail) and received.id == 7
    assert type(received.failure) is type(sent)
    assert (received.failure.message, received.failure.hint) == (sent.message, sent.hint)
    assert received.failure.holder == sent.holder


@given(st.text(), st.text())
def test_any_text_stays_in_one_line(message: str, hint: str) -> None:
    line = wire.encode_fail(1, InvalidRequest(message, hint))
    assert line.endswith(b"\n") and line.count(b"\n") == 1


def test_every_request_says_what_answers_it() -> None:
    assert m.Request.by_name.keys() & m.Event.by_name.keys() == set()
    for request_type in m.Request.by_name.values():
        assert issubclass(request_type.reply, m.Message)


def test_words_of_a_newer_release_are_no_defect() -> None:
    reason = "is not known to this release"
    fly, flown = (b'{"ask":"Fly","id":7,"body":{}}', b'{"tell":"Flown","body":{}}')
    assert wire.decode(fly) == wire.Unreadable(7, "Fly", reason)
    assert wire.decode(flown) == wire.Unreadable(None, "Flown", reason)
    line = wire.encode_ask(7, REQUESTS[0]).replace(b'"name"', b'"newer":1,"name"')
    assert wire.decode(line) == wire.Ask(7, REQUESTS[0])


def test_what_a_newer_release_says_of_a_resource_is_passed_over() -> None:
    """Its agents serve databases for days; the autoscaler that speaks to them may be newer."""
    start, changed = REQUESTS[3], EVENTS[0]
    for new in (
        (b'"newer":{"a":1},"minCU"', b'"minCU"'),
        (b'"newer":[],"name":"app"', b'"name":"app"'),
    ):
        line = wire.encode_ask(7, start).replace(new[1], new[0])
        assert new[0] in line and wire.decode(line) == wire.Ask(7, start)
        line = wire.encode_tell(changed).replace(new[1], new[0])
        assert new[0] in line and wire.decode(line) == wire.Tell(changed)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"name":"shop","cause":7}', "has an impossible cause: Input should be a valid string"),
        (b'{"name":"shop"}', "has an impossible cause: Field required"),
        (b'"secret"', "has an impossible body: Input should be"),
    ],
)
def test_impossible_values_are_said_and_not_shown(body: bytes, words: str) -> None:
    line = wire.decode(b'{"ask":"Wake","id":7,"body":' + body + b"}")
    assert isinstance(line, wire.Unreadable) and (line.id, line.name) == (7, "Wake")
    assert line.reason.startswith(words) and "secret" not in line.reason


def test_impossible_values_of_an_event_are_said() -> None:
    line = wire.decode(b'{"tell":"EndpointRemoved","body":{"name":7}}')
    assert isinstance(line, wire.Unreadable) and (line.id, line.name) == (None, "EndpointRemoved")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_line_or_malformed(line: bytes) -> None:
    _decode(line)


keys = st.sampled_from(["ask", "tell", "id", "body", "answer", "failure", "kind", "message"])
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(keys, json_values | st.sampled_from(["Wake", "ProxySample"]), max_size=5))
def test_any_fields_are_a_line_or_malformed(fields: dict[str, Any]) -> None:
    _decode(json.dumps(fields).encode())


@given(st.sampled_from([*REQUESTS, *EVENTS]), st.data())
def test_a_changed_line_is_a_line_or_malformed(message: m.Message, data: st.DataObject) -> None:
    line = bytearray(
        wire.encode_ask(7, message)
        if isinstance(message, m.Request)
        else wire.encode_tell(m.Event.model_validate(message))
    )
    position = data.draw(st.integers(0, len(line) - 1))
    line[position] = data.draw(st.integers(0, 255))
    _decode(bytes(line))


@pytest.mark.parametrize(
    "line", [b"[" * 100_000, b'{"answer":{},"id":Infinity}', b"\xff", b"7" * 5000]
)
def test_extremes_are_malformed(line: bytes) -> None:
    with pytest.raises(wire.Malformed):
        wire.decode(line)


def _decode(line: bytes) -> None:
    try:
        wire.decode(line)
    except wire.Malformed as refused:
        assert len(str(refused)) < 300
