"""What Prometheus reads: present values, under names and labels that are few."""

from __future__ import annotations

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


def test_the_process_is_told_of_too() -> None:
    assert "process_resident_memory_bytes" in Metrics().text().decode()
