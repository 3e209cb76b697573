"""What a component tells Prometheus: read when it is asked, so that nothing is counted for nobody.

Names begin with ``torpor_`` and carry their unit. No label is a database's or a session's name:
there may be ten thousand, and ``kubectl get serverlessdatabases`` has what concerns one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from torpor_api.messages import Latencies

Read = Callable[[], Mapping[str, float]]
"""The present value for each value of the label; that of the empty text, where there is none."""

ReadLatencies = Callable[[], Mapping[str, Latencies]]
"""The same of a histogram, whose totals never fall."""


class Metrics:
    """Of one process, with those of the process itself (``process_…``)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._looks: list[Callable[[], None]] = []
        ProcessCollector(registry=self.registry)

    def gauge(self, name: str, meaning: str, read: Read, *, label: str = "") -> None:
        """Add one that is read at each question; ``label``: the name of what tells its values
        apart."""
        self.registry.register(_Read(GaugeMetricFamily, name, meaning, read, label))

    def counter(self, name: str, meaning: str, read: Read, *, label: str = "") -> None:
        """As a gauge, of what only grows; it is told as ``NAME_total``."""
        self.registry.register(_Read(CounterMetricFamily, name, meaning, read, label))

    def histogram(
        self,
        name: str,
        meaning: str,
        read: ReadLatencies,
        bounds: Sequence[float],
        *,
        label: str = "",
    ) -> None:
        """As a gauge, of what somebody else has counted, in buckets up to these bounds and one
        more."""
        self.registry.register(_Histogram(name, meaning, read, bounds, label))

    def before_reading(self, look: Callable[[], None]) -> None:
        """``look``: called once at each question, ahead of all that is read for it."""
        self._looks.append(look)

    def text(self) -> bytes:
        """In the text format, version 0.0.4."""
        for look in self._looks:
            look()
        return generate_latest(self.registry)


Family: TypeAlias = GaugeMetricFamily | CounterMetricFamily


class _Read(Collector):
    def __init__(
        self, family: type[Family], name: str, meaning: str, read: Read, label: str
    ) -> None:
        self._make = family
        self._name = name
        self._meaning = meaning
        self._read = read
        self._labels = [label] if label else []

    def describe(self) -> Iterable[Family]:
        """Without a look at what it reads, which may be of later."""
        return [self._family()]

    def collect(self) -> Iterable[Family]:
        family = self._family()
        for value_of_label, value in sorted(self._read().items()):
            family.add_metric([value_of_label] if self._labels else [], value)
        return [family]

    def _family(self) -> Family:
        return self._make(self._name, self._meaning, labels=self._labels)


class _Histogram(Collector):
    def __init__(
        self, name: str, meaning: str, read: ReadLatencies, bounds: Sequence[float], label: str
    ) -> None:
        self._name = name
        self._meaning = meaning
        self._read = read
        self._bounds = [*map(repr, bounds), "+Inf"]
        self._labels = [label] if label else []

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Without a look at what it reads, which may be of later."""
        return [self._family()]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = self._family()
        for value_of_label, told in sorted(self._read().items()):
            up_to = accumulate(told.buckets or (0,) * len(self._bounds))
            buckets = list(zip(self._bounds, up_to, strict=True))
            family.add_metric([value_of_label] if self._labels else [], buckets, told.sum_s)
        return [family]

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._meaning, labels=self._labels)
