"""What a proxy tells Prometheus: sums over its databases, whose names are nobody's labels."""

from __future__ import annotations

from torpor_api.messages import EndpointSample
from torpor_channel.metrics import Metrics
from torpor_proxy.adapters.metrics import tell_of


def test_sessions_are_summed_over_all_databases() -> None:
    samples = [
        EndpointSample(name="shop", epoch=1, sessions=5, attached=2, parked=2, waiting=1, busy=1),
        EndpointSample(name="blog", epoch=4, sessions=3, attached=1, parked=2, busy=1),
    ]
    metrics = Metrics()
    tell_of(metrics, lambda: samples, lambda: 7)
    told = metrics.text().decode().splitlines()
    assert 'torpor_proxy_sessions{state="attached"} 3.0' in told
    assert 'torpor_proxy_sessions{state="parked"} 4.0' in told
    assert 'torpor_proxy_sessions{state="waiting"} 1.0' in told
    assert "torpor_proxy_busy_sessions 2.0" in told
    assert "torpor_proxy_endpoints 7.0" in told
    assert not [line for line in told if "shop" in line]
