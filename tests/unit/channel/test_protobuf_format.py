"""The format with native histograms: who gets it, and what stands in it, byte by byte.

A real Prometheus reads it in tests/observe.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from torpor_channel.durations import Durations
from torpor_channel.metrics import Metrics
from torpor_channel.protobuf_format import CONTENT_TYPE, is_wanted

PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
)

Field = tuple[int, Any]


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        (PROTOBUF, True),
        (CONTENT_TYPE, True),
        (PROTOBUF.replace("delimited", "text"), False),
        ("application/vnd.google.protobuf;proto=other.Message;encoding=delimited", False),
        (f"{PROTOBUF},text/plain;version=0.0.4;q=0.5,*/*;q=0.1", True),
        (f"{PROTOBUF};q=0.2,text/plain;version=0.0.4;q=0.5", False),
        (f"text/plain,{PROTOBUF}", False),
        (f"application/openmetrics-text;version=1.0.0,{PROTOBUF};q=0.7,*/*;q=0.1", True),
        (f"{PROTOBUF};q=0", False),
        (f"{PROTOBUF};q=much", False),
    ],
)
def test_who_likes_it_better_than_text_gets_it(accept: str, wanted: bool) -> None:
    assert is_wanted(accept) is wanted


def varint(data: bytes, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def fields(data: bytes) -> Iterator[Field]:
    """Each with its number: whole numbers, doubles, and bytes."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        number, written_as = key >> 3, key & 7
        if written_as == 0:
            value, at = varint(data, at)
            yield number, value
        elif written_as == 1:
            yield number, struct.unpack("<d", data[at : at + 8])[0]
            at += 8
        else:
            assert written_as == 2
            length, at = varint(data, at)
            yield number, data[at : at + length]
            at += length
    assert at == len(data)


def families(metrics: Metrics) -> dict[str, list[Field]]:
    """By name, those of ours."""
    body, content_type = metrics.told(PROTOBUF)
    assert content_type == CONTENT_TYPE
    found, at = dict[str, list[Field]](), 0
    while at < len(body):
        length, at = varint(body, at)
        family = list(fields(body[at : at + length]))
        found[family[0][1].decode()] = family
        at += length
    return {name: family for name, family in found.items() if name.startswith("torpor_")}


def only(family: list[Field], number: int) -> list[Any]:
    return [value for each, value in family if each == number]


def signed(number: int) -> int:
    return number >> 1 if number % 2 == 0 else -(number + 1) >> 1


def test_a_counter_and_a_gauge_have_their_names_meanings_types_and_values() -> None:
    metrics = Metrics()
    metrics.counter("torpor_ends", "How they end", lambda: {("a", "ü"): 3}, label=("how", "who"))
    metrics.gauge("torpor_now", "How many", lambda: {"": 200})
    found = families(metrics)
    name, meaning, kind, metric = found["torpor_ends_total"]
    assert (name, meaning, kind) == ((1, b"torpor_ends_total"), (2, b"How they end"), (3, 0))
    labels = [dict(fields(pair)) for pair in only(list(fields(metric[1])), 1)]
    assert labels == [{1: b"how", 2: b"a"}, {1: b"who", 2: "ü".encode()}]
    assert list(fields(only(list(fields(metric[1])), 3)[0])) == [(1, 3.0)]
    *_, kind, metric = found["torpor_now"]
    assert kind == (3, 1)
    assert list(fields(metric[1])) == [(2, b"\x09" + struct.pack("<d", 200.0))]


def test_a_histogram_has_both_kinds_of_buckets() -> None:
    durations = Durations((0.5, 1.0))
    for seconds in (0.0, 0.5, 1.0, 1.0, 1.05):
        durations.add(seconds)
    metrics = Metrics()
    metrics.histogram(
        "torpor_wait_seconds",
        "How long",
        lambda: {"place": durations.counted()},
        (0.5, 1.0),
        label="for",
    )
    (metric,) = only(families(metrics)["torpor_wait_seconds"], 4)
    (body,) = only(list(fields(metric)), 7)
    histogram = list(fields(body))
    assert only(histogram, 1) == [5]
    assert only(histogram, 2) == [pytest.approx(3.55)]
    classic = [dict(fields(bucket)) for bucket in only(histogram, 3)]
    assert classic == [{1: 2, 2: 0.5}, {1: 4, 2: 1.0}, {1: 5, 2: float("inf")}]
    assert [signed(schema) for schema in only(histogram, 5)] == [3]
    assert (only(histogram, 6), only(histogram, 7)) == ([2.0**-14], [1])
    spans = [dict(fields(span)) for span in only(histogram, 12)]
    assert [(signed(span[1]), span[2]) for span in spans] == [(-8, 1), (7, 2)]
    assert [signed(delta) for delta in only(histogram, 13)] == [1, 1, -1]


def test_one_that_is_empty_is_a_native_histogram_too() -> None:
    """Its threshold of zero tells it from a classic one."""
    durations = Durations((0.5,))
    metrics = Metrics()
    metrics.histogram("torpor_wait_seconds", "How long", lambda: {"": durations.counted()}, (0.5,))
    (metric,) = only(families(metrics)["torpor_wait_seconds"], 4)
    histogram = list(fields(only(list(fields(metric)), 7)[0]))
    assert only(histogram, 6) == [2.0**-14] and only(histogram, 13) == []


def test_everybody_else_gets_text() -> None:
    metrics = Metrics("proxy")
    body, content_type = metrics.told("*/*")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert b'torpor_build_info{component="proxy",version="' in body
