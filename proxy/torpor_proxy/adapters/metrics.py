"""The proxy's metrics: what is there when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from torpor_api.messages import EndpointSample
from torpor_channel.metrics import Metrics

Samples = Callable[[], Iterable[EndpointSample]]


def tell_of(metrics: Metrics, samples: Samples, endpoints: Callable[[], int]) -> None:
    """``samples``: as the autoscaler hears them, of databases that anybody uses."""

    def sessions() -> Mapping[str, float]:
        total = {"attached": 0.0, "parked": 0.0, "waiting": 0.0}
        for sample in samples():
            total["attached"] += sample.attached
            total["parked"] += sample.parked
            total["waiting"] += sample.waiting
        return total

    def busy() -> Mapping[str, float]:
        return {"": sum(sample.busy for sample in samples())}

    metrics.gauge("torpor_proxy_sessions", "Sessions by state", sessions, label="state")
    metrics.gauge(
        "torpor_proxy_busy_sessions",
        "Sessions in a transaction, or with a query that is not answered yet",
        busy,
    )
    metrics.gauge(
        "torpor_proxy_endpoints", "Databases that this proxy serves", lambda: {"": endpoints()}
    )
