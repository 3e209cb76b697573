"""What Prometheus reads: present values, under names and labels that are few."""

from __future__ import annotations

from torpor_api.messages import Latencies
from torpor_channel.metrics import Metrics


def lines(metrics: Metrics) -> list[str]:
    return [line for line in metrics.text().decode().splitlines() if line.startswith("torpor_")]


def test_a_gauge_is_read_at_each_question() -> None:
    count = {"value": 1}
    metrics = Metrics()
    metrics.gauge("torpor_waiting", "Who waits", lambda: {"": count["value"]})
    assert lines(metrics) == ["torpor_waiting 1.0"]
    count["value"] = 2
    assert lines(metrics) == ["torpor_waiting 2.0"]


def test_a_label_tells_values_apart() -> None:
    metrics = Metrics()
    metrics.gauge("torpor_things", "By kind", lambda: {"b": 2, "a": 1}, label="kind")
    assert lines(metrics) == ['torpor_things{kind="a"} 1.0', 'torpor_things{kind="b"} 2.0']


def test_a_histogram_is_what_somebody_else_has_counted() -> None:
    told = {"": Latencies()}
    metrics = Metrics()
    metrics.histogram("torpor_query_seconds", "How long", lambda: told, (0.5, 1.0))
    names = ('bucket{le="0.5"}', 'bucket{le="1.0"}', 'bucket{le="+Inf"}', "count", "sum")
    for counted, values in (
        (Latencies(), (0, 0, 0, 0, 0)),
        (Latencies(count=6, sum_s=9.0, buckets=(1, 2, 3)), (1, 3, 6, 6, 9)),
    ):
        told[""] = counted
        assert lines(metrics) == [
            f"torpor_query_seconds_{name} {float(value)}"
            for name, value in zip(names, values, strict=True)
        ]


def test_who_looks_does_so_once_before_all_is_read() -> None:
    looks: list[str] = []
    metrics = Metrics()
    for name in ("torpor_a", "torpor_b"):
        metrics.gauge(name, "Looks", lambda: {"": len(looks)})
    metrics.before_reading(lambda: looks.append("look"))
    assert lines(metrics) == ["torpor_a 1.0", "torpor_b 1.0"]


def test_the_process_is_told_of_too() -> None:
    assert "process_resident_memory_bytes" in Metrics().text().decode()
