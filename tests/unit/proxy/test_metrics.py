"""What a proxy tells Prometheus: sums over its databases, whose names are nobody's labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from torpor_api.messages import EndpointInfo, EndpointSample, Latencies
from torpor_api.phases import Phase
from torpor_channel.metrics import Metrics
from torpor_proxy.adapters.metrics import ProxyMetrics
from torpor_proxy.core.refusals import AttachRefused, LoginFailed, ShuttingDown
from torpor_proxy.core.stopwatch import Tally
from torpor_proxy.core.tallies import Tallies, Wait
from torpor_proxy.executor.registry import Registry
from torpor_proxy.settings import Settings

MANY = 10_000

SERIES_MAX = 150
"""Of one proxy in the text format, that of its process included."""


class TwoDatabases:
    """A proxy's sessions of them."""

    def __init__(self, *, is_named: bool = False) -> None:
        self.looks = 0
        self.is_named = is_named
        self.tallies = Tallies()

    def samples(self) -> list[EndpointSample]:
        self.looks += 1
        shop = EndpointSample(
            name="shop", epoch=1, sessions=5, attached=2, parked=2, waiting=1, busy=1, in_flight=3
        )
        blog = EndpointSample(
            name="blog", epoch=4, sessions=3, attached=1, parked=2, busy=1, pinned_sessions=1
        )
        return [shop, blog]

    def queried(self) -> Latencies:
        tally = Tally()
        tally.add([0.0002, 0.0001, 70.0])
        return tally.totals()

    def queried_by_database(self) -> Mapping[str, Latencies]:
        return {"shop": self.queried()} if self.is_named else {}


def told_of(proxy: TwoDatabases) -> list[str]:
    metrics = Metrics()
    ProxyMetrics(metrics, proxy, lambda: 7)
    return metrics.text().decode().splitlines()


def test_sessions_are_summed_over_all_databases() -> None:
    proxy = TwoDatabases()
    told = told_of(proxy)
    assert 'torpor_proxy_sessions{state="attached"} 3.0' in told
    assert 'torpor_proxy_sessions{state="parked"} 4.0' in told
    assert 'torpor_proxy_sessions{state="waiting"} 1.0' in told
    assert "torpor_proxy_busy_sessions 2.0" in told
    assert "torpor_proxy_pinned_sessions 1.0" in told
    assert "torpor_queries_in_flight 3.0" in told
    assert "torpor_proxy_endpoints 7.0" in told
    assert not [line for line in told if "shop" in line]
    assert proxy.looks == 1


def test_queries_and_waits_are_histograms() -> None:
    proxy = TwoDatabases()
    proxy.tallies.has_waited(Wait.DATABASE, 0.25)
    told = told_of(proxy)
    assert 'torpor_query_seconds_bucket{le="0.0001"} 1.0' in told
    assert 'torpor_query_seconds_bucket{le="0.00025"} 2.0' in told
    assert 'torpor_query_seconds_bucket{le="60.0"} 2.0' in told
    assert 'torpor_query_seconds_bucket{le="+Inf"} 3.0' in told
    assert "torpor_query_seconds_count 3.0" in told
    assert "torpor_query_seconds_sum 70.0003" in told
    assert 'torpor_wait_seconds_bucket{for="database",le="0.25"} 1.0' in told
    assert 'torpor_wait_seconds_count{for="place"} 0.0' in told


def test_a_database_is_named_where_somebody_asked_for_it() -> None:
    told = told_of(TwoDatabases(is_named=True))
    assert 'torpor_database_query_seconds_count{database="shop"} 3.0' in told


def test_logins_and_ends_are_told_by_the_class_of_their_sqlstate() -> None:
    proxy = TwoDatabases()
    tallies = proxy.tallies
    tallies.admitted()
    tallies.not_admitted(LoginFailed("app", "127.0.0.1", "wrong password"))
    tallies.refused(ShuttingDown())
    tallies.refused(AttachRefused({"C": "3D000"}))
    tallies.refused(AttachRefused({"C": "ZZ999"}))
    told = told_of(proxy)
    assert 'torpor_proxy_logins_total{sqlstate_class="00"} 1.0' in told
    assert 'torpor_proxy_logins_total{sqlstate_class="28"} 1.0' in told
    assert 'torpor_proxy_logins_total{sqlstate_class="53"} 0.0' in told
    for sqlstate_class in ("57", "3D", "other"):
        line = f'torpor_proxy_refused_sessions_total{{sqlstate_class="{sqlstate_class}"}} 1.0'
        assert line in told
    assert not [line for line in told if "ZZ" in line]


def test_ten_thousand_databases_have_no_more_series_than_one() -> None:
    def series(databases: int) -> list[str]:
        registry = Registry(Settings(), cast("Any", None), cast("Any", None))
        for number in range(databases):
            registry.told(EndpointInfo(name=f"d{number}", phase=Phase.SUSPENDED, epoch=1))
        metrics = Metrics("proxy")
        ProxyMetrics(metrics, registry, lambda: len(registry.endpoints))
        lines = metrics.text().decode().splitlines()
        return [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]

    few, many = series(1), series(MANY)
    assert few == many and len(many) < SERIES_MAX
