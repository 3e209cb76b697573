"""What a component tells Prometheus: read when it is asked, so that nothing is counted for nobody.

Names begin with ``torpor_`` and carry their unit. No label is a database's or a session's name:
there may be ten thousand, and ``kubectl get serverlessdatabases`` has what concerns one of them.
What a label may say is written down where the metric is made, and all of it is told from the
beginning, so that a rate has a first value to grow from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from itertools import accumulate
from typing import Protocol, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.registry import Collector

from torpor_channel import protobuf_format
from torpor_channel.durations import Counted, NativeBuckets
from torpor_channel.protobuf_format import LabelPairs

TEXT = "text/plain; version=0.0.4; charset=utf-8"
"""The format of everybody who names no other."""

Labels: TypeAlias = str | tuple[str, str]
"""One, or two; the empty text, where there is none."""

Read = Callable[[], Mapping[str, float]] | Callable[[], Mapping[tuple[str, str], float]]
"""The present value for each value of the label, or of both; that of the empty text, where there is
none."""


class Tallied(Protocol):
    """How many took how long: :class:`~torpor_api.messages.Latencies`, or
    :class:`~torpor_channel.durations.Counted`, which is told in native buckets as well."""

    @property
    def sum_s(self) -> float: ...

    @property
    def buckets(self) -> tuple[int, ...]:
        """How many are in each; empty: none are in any."""


ReadTallies = Callable[[], Mapping[str, Tallied]]
"""The same of a histogram, whose totals never fall."""


class Metrics:
    """Of one process, with those of the process itself (``process_…``)."""

    def __init__(self, component: str = "") -> None:
        """``component``: operator, autoscaler, proxy or agent."""
        self.registry = CollectorRegistry()
        self._looks: list[Callable[[], None]] = []
        ProcessCollector(registry=self.registry)
        if component:
            self.gauge(
                "torpor_build_info",
                "1, with the version and the component that tells it",
                lambda: {(component, version("torpor")): 1},
                label=("component", "version"),
            )

    def gauge(self, name: str, meaning: str, read: Read, *, label: Labels = "") -> None:
        """Add one that is read at each question; ``label``: the name of what tells its values
        apart, or both."""
        self.registry.register(_Read(GaugeMetricFamily, name, meaning, read, label))

    def counter(self, name: str, meaning: str, read: Read, *, label: Labels = "") -> None:
        """As a gauge, of what only grows; it is told as ``NAME_total``."""
        self.registry.register(_Read(CounterMetricFamily, name, meaning, read, label))

    def histogram(
        self,
        name: str,
        meaning: str,
        read: ReadTallies,
        bounds: Sequence[float],
        *,
        label: str = "",
    ) -> None:
        """As a gauge, of what somebody else has counted, in buckets up to these bounds and one
        more; and where it was counted for that, in native ones."""
        self.registry.register(_Histogram(name, meaning, read, bounds, label))

    def before_reading(self, look: Callable[[], None]) -> None:
        """``look``: called once at each question, ahead of all that is read for it."""
        self._looks.append(look)

    def told(self, accept: str) -> tuple[bytes, str]:
        """All of it, and in which format: that of native histograms for whoever ``accept``s it
        before text."""
        if not protobuf_format.is_wanted(accept):
            return self.text(), TEXT
        self._look()
        return protobuf_format.encoded(self.registry.collect()), protobuf_format.CONTENT_TYPE

    def text(self) -> bytes:
        """In the text format, version 0.0.4."""
        self._look()
        return generate_latest(self.registry)

    def _look(self) -> None:
        for look in self._looks:
            look()


Family: TypeAlias = GaugeMetricFamily | CounterMetricFamily


class _Read(Collector):
    def __init__(
        self,
        family: type[Family],
        name: str,
        meaning: str,
        read: Read,
        label: Labels,
    ) -> None:
        self._make = family
        self._name = name
        self._meaning = meaning
        self._read = read
        self._labels = _words(label)

    def describe(self) -> Iterable[Family]:
        """Without a look at what it reads, which may be of later."""
        return [self._family()]

    def collect(self) -> Iterable[Family]:
        family = self._family()
        told = [(_of_each(values), value) for values, value in self._read().items()]
        for values, value in sorted(told):
            family.add_metric(values if self._labels else (), value)
        return [family]

    def _family(self) -> Family:
        return self._make(self._name, self._meaning, labels=self._labels)


class _HistogramFamily(HistogramMetricFamily):
    """With native buckets of those that have some, for the format that tells them."""

    def __init__(self, name: str, meaning: str, labels: Sequence[str]) -> None:
        super().__init__(name, meaning, labels=labels)
        self.native: dict[LabelPairs, NativeBuckets] = {}


class _Histogram(Collector):
    def __init__(
        self, name: str, meaning: str, read: ReadTallies, bounds: Sequence[float], label: str
    ) -> None:
        self._name = name
        self._meaning = meaning
        self._read = read
        self._bounds = [*map(repr, map(float, bounds)), "+Inf"]
        self._label = label

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Without a look at what it reads, which may be of later."""
        return [self._family()]

    def collect(self) -> Iterable[HistogramMetricFamily]:
        family = self._family()
        for value_of_label, told in sorted(self._read().items()):
            up_to = accumulate(told.buckets or (0,) * len(self._bounds))
            buckets = list(zip(self._bounds, up_to, strict=True))
            labels = ((self._label, value_of_label),) if self._label else ()
            family.add_metric([value for _, value in labels], buckets, told.sum_s)
            if isinstance(told, Counted):
                family.native[labels] = told.native
        return [family]

    def _family(self) -> _HistogramFamily:
        return _HistogramFamily(self._name, self._meaning, _words(self._label))


def _words(label: Labels) -> tuple[str, ...]:
    return _of_each(label) if label else ()


def _of_each(label: Labels) -> tuple[str, ...]:
    """An empty one is a value as well: the one pool of a machine has no name."""
    return (label,) if isinstance(label, str) else label
