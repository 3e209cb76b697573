"""The one format of ``/metrics`` that has native histograms: Prometheus's own protobuf messages.

``io.prometheus.client.MetricFamily``, each behind its length; the fields are numbered in
``metrics.proto`` of Prometheus. Written here because a dozen fields are all it takes, and the usual
library of metrics has no such format. A histogram has both kinds of buckets: who reads takes one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from torpor_channel.durations import SCHEMA, ZERO_S, NativeBuckets

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric
    from prometheus_client.samples import Sample

CONTENT_TYPE = (
    "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
)

_MEDIA_TYPE, _MESSAGE = "application/vnd.google.protobuf", "io.prometheus.client.MetricFamily"

_TEXTS = ("text/plain", "text/*", "*/*")

COUNTER, GAUGE, HISTOGRAM = 0, 1, 4
"""Of the enumeration MetricType."""

_VARINT, _FIXED64, _DELIMITED = 0, 1, 2
"""How a field is written."""

LabelPairs = tuple[tuple[str, str], ...]
"""Names and values, in the order of the names."""


class HasNative(Protocol):
    """A family of histograms that counts in native buckets as well."""

    native: Mapping[LabelPairs, NativeBuckets]


def is_wanted(accept: str) -> bool:
    """Whether who sent this header ``Accept`` would rather have it than text.

    A Prometheus that reads native histograms says so; any other one, and every person, gets text.
    """
    best, is_ours = 0.0, False
    for wanted in accept.split(","):
        media, *words = (word.strip() for word in wanted.lower().split(";"))
        said = dict(word.split("=", 1) for word in words if "=" in word)
        as_ours = media == _MEDIA_TYPE and said.get("encoding") == "delimited"
        as_ours = as_ours and said.get("proto", "").strip('"') == _MESSAGE.lower()
        if (as_ours or media in _TEXTS) and (weight := _weight(said.get("q", "1"))) > best:
            best, is_ours = weight, as_ours
    return is_ours


def encoded(families: Iterable[Metric]) -> bytes:
    """All of them, each behind its length."""
    whole = bytearray()
    for family in families:
        body = _family(family)
        whole += _varint(len(body)) + body
    return bytes(whole)


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _family(family: Metric) -> bytes:
    match family.type:
        case "counter":
            name, kind = f"{family.name}_total", COUNTER
            metrics = _plain(family.samples, name, kind)
        case "histogram":
            name, kind = family.name, HISTOGRAM
            metrics = _histograms(family)
        case _:
            name, kind = family.name, GAUGE
            metrics = _plain(family.samples, name, kind)
    head = _text(1, name) + _text(2, family.documentation) + _count(3, kind)
    return head + b"".join(_message(4, metric) for metric in metrics)


def _plain(samples: Iterable[Sample], name: str, kind: int) -> Iterator[bytes]:
    """Counters and gauges have their value in a message of its own, a field for each kind."""
    field = 3 if kind == COUNTER else 2
    for sample in samples:
        if sample.name == name:
            pairs = tuple(sorted(sample.labels.items()))
            yield _labels(pairs) + _message(field, _double(1, sample.value))


def _histograms(family: Metric) -> Iterator[bytes]:
    native: Mapping[LabelPairs, NativeBuckets] = getattr(family, "native", {})
    found: dict[LabelPairs, list[Sample]] = {}
    for sample in family.samples:
        pairs = sorted(pair for pair in sample.labels.items() if pair[0] != "le")
        found.setdefault(tuple(pairs), []).append(sample)
    for labels, samples in found.items():
        body = b"".join(_of_histogram(family.name, sample) for sample in samples)
        if labels in native:
            body += _native(native[labels])
        yield _labels(labels) + _message(7, body)


def _of_histogram(name: str, sample: Sample) -> bytes:
    match sample.name.removeprefix(name):
        case "_count":
            return _count(1, int(sample.value))
        case "_sum":
            return _double(2, sample.value)
        case "_bucket":
            bound = float(sample.labels["le"])
            return _message(3, _count(1, int(sample.value)) + _double(2, bound))
        case _:
            return b""


def _native(buckets: NativeBuckets) -> bytes:
    """A bucket is told as what it has more than the one before it."""
    body = _signed(5, SCHEMA) + _double(6, ZERO_S) + _count(7, buckets.zero_count)
    for span in buckets.spans:
        body += _message(12, _signed(1, span.gap) + _count(2, len(span.counts)))
    before = 0
    for count in (count for span in buckets.spans for count in span.counts):
        body += _signed(13, count - before)
        before = count
    return body


def _labels(pairs: LabelPairs) -> bytes:
    return b"".join(_message(1, _text(1, name) + _text(2, value)) for name, value in pairs)


# --- the wire format of protobuf -----------------------------------------------------------------


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    digits = bytearray()
    while number > 0x7F:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


def _tag(field: int, written_as: int) -> bytes:
    return _varint(field << 3 | written_as)


def _count(field: int, number: int) -> bytes:
    return _tag(field, _VARINT) + _varint(number)


def _signed(field: int, number: int) -> bytes:
    """Small where it is near to zero, on either side."""
    return _count(field, number << 1 if number >= 0 else (-number << 1) - 1)


def _double(field: int, value: float) -> bytes:
    return _tag(field, _FIXED64) + struct.pack("<d", value)


def _message(field: int, body: bytes) -> bytes:
    return _tag(field, _DELIMITED) + _varint(len(body)) + body


def _text(field: int, text: str) -> bytes:
    return _message(field, text.encode())
