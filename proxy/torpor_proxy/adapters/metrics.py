"""The proxy's metrics: what is there when they are asked for, of all its databases together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from torpor_api.messages import EndpointSample, Latencies
from torpor_api.messages.latency import BOUNDS_S
from torpor_channel.metrics import Metrics
from torpor_proxy.core.tallies import Tallies


class Told(Protocol):
    """The proxy: :class:`torpor_proxy.executor.registry.Registry`."""

    tallies: Tallies

    def samples(self) -> Sequence[EndpointSample]:
        """As the autoscaler hears them, of databases that anybody uses."""

    def queried(self) -> Latencies:
        """How long all queries took that have ended."""

    def queried_by_database(self) -> Mapping[str, Latencies]:
        """The same of the databases that may be told by name; bounded."""


class ProxyMetrics:
    """No label is a database's name, unless somebody has asked for some."""

    def __init__(self, metrics: Metrics, proxy: Told, endpoints: Callable[[], int]) -> None:
        """``endpoints``: how many databases the proxy serves."""
        self._proxy = proxy
        self._samples: Sequence[EndpointSample] = ()
        self._sessions_now(metrics)
        self._sessions_since(metrics, proxy.tallies)
        self._queries(metrics)
        metrics.gauge(
            "torpor_proxy_endpoints",
            "Databases that this proxy serves",
            lambda: {"": endpoints()},
        )

    def _queries(self, metrics: Metrics) -> None:
        metrics.histogram(
            "torpor_query_seconds",
            "What computes took for queries, from the client's message until ReadyForQuery",
            lambda: {"": self._proxy.queried()},
            BOUNDS_S,
        )
        metrics.histogram(
            "torpor_database_query_seconds",
            "The same of single databases, of as many as were asked for",
            self._proxy.queried_by_database,
            BOUNDS_S,
            label="database",
        )
        metrics.gauge(
            "torpor_queries_in_flight",
            "Queries that a compute has got and not answered yet",
            lambda: {"": self._sum("in_flight")},
        )

    def _sessions_now(self, metrics: Metrics) -> None:
        metrics.before_reading(self._look)
        metrics.gauge("torpor_proxy_sessions", "Sessions by state", self._sessions, label="state")
        metrics.gauge(
            "torpor_proxy_busy_sessions",
            "Sessions in a transaction, or with a query that is not answered yet",
            lambda: {"": self._sum("busy")},
        )
        metrics.gauge(
            "torpor_proxy_pinned_sessions",
            "Attached sessions that can't be parked",
            lambda: {"": self._sum("pinned_sessions")},
        )

    def _sessions_since(self, metrics: Metrics, tallies: Tallies) -> None:
        metrics.histogram(
            "torpor_wait_seconds",
            "What sessions waited for before a query: their database, a place at it, or a capture",
            tallies.waited,
            BOUNDS_S,
            label="for",
        )
        metrics.counter(
            "torpor_proxy_logins",
            "Logins by the class of the SQLSTATE that they ended with; 00: admitted",
            tallies.logins,
            label="sqlstate_class",
        )
        metrics.counter(
            "torpor_proxy_abandoned_logins",
            "Connections that ended before a login, or were too slow for one",
            lambda: {"": tallies.abandoned},
        )
        metrics.counter(
            "torpor_proxy_refused_sessions",
            "Sessions that the proxy ended, by the class of the SQLSTATE that it told them",
            tallies.refusals,
            label="sqlstate_class",
        )
        metrics.counter(
            "torpor_proxy_attaches",
            "How often a session got a backend connection",
            lambda: {"": tallies.attached},
        )
        metrics.counter(
            "torpor_proxy_parks",
            "How often a session gave up its backend connection and lived on",
            lambda: {"": tallies.parked},
        )

    def _look(self) -> None:
        """Once for all gauges: it asks every session."""
        self._samples = self._proxy.samples()

    def _sessions(self) -> Mapping[str, float]:
        return {state: self._sum(state) for state in ("attached", "parked", "waiting")}

    def _sum(self, field: str) -> float:
        return float(sum(getattr(sample, field) for sample in self._samples))
