"""The last two minutes of one database: which samples count, and what is made of them."""

from __future__ import annotations

from random import Random

import pytest

from torpor_autoscaler.core.history import SAMPLES_MAX, History, Sample

GIB = float(1 << 30)


def test_samples_of_the_future_or_out_of_order_are_refused() -> None:
    history = History()
    assert history.add(Sample(5.0, cpu=1.0), 5.0)
    assert not history.add(Sample(5.0, cpu=9.0), 6.0)
    assert not history.add(Sample(4.0, cpu=9.0), 6.0)
    assert not history.add(Sample(7.0, cpu=9.0), 6.0)
    assert not history.add(Sample(float("nan"), cpu=9.0), 6.0)
    assert not History().add(Sample(float("-inf"), cpu=9.0), 6.0)
    latest = history.latest
    assert latest is not None and latest.cpu == 1.0


def test_the_history_is_bounded() -> None:
    history = History()
    for second in range(500):
        history.add(Sample(float(second), cpu=float(second)), float(second))
    assert (
        history.mean(lambda sample: sample.cpu, 1000.0, 499.0, 0.0) == 500 - SAMPLES_MAX / 2 - 0.5
    )


@pytest.mark.parametrize("seed", range(20))
def test_the_highest_mean_is_of_all_short_windows(seed: int) -> None:
    """As the slow way finds it, with seconds missing."""
    random, history = Random(seed), History()
    known = [second for second in range(1, 101) if random.random() < 0.5]
    for second in known:
        history.add(Sample(float(second), cpu=random.uniform(0, 9)), float(second))
    ends = [history.mean(lambda s: s.cpu, 6.0, float(end)) for end in known if end > 90]
    slow = max((mean for mean in ends if mean is not None), default=None)
    found = history.highest_mean(lambda s: s.cpu, 6.0, 10.0, 100.0)
    assert found == (None if slow is None else pytest.approx(slow))


@pytest.mark.parametrize(
    ("figure", "most"),
    [
        ("cpu", 1024.0),
        ("runnable", 1e5),
        ("queued", 1e6),
        ("memory_bytes", 16.0 * 1024 * GIB),
        ("working_set_bytes", 16.0 * 1024 * GIB),
        ("latency_s", 86_400.0),
    ],
)
def test_a_figure_is_believed_up_to_its_bound(figure: str, most: float) -> None:
    for value, believed in ((most, most), (most * 1.001, None), (0.0, 0.0), (-0.001, None)):
        history = History()
        history.add(Sample(1.0, **{figure: value}), 1.0)
        latest = history.latest
        assert latest is not None and getattr(latest, figure) == believed


def test_a_window_ends_now_and_begins_after_its_first_moment() -> None:
    history = History()
    for second in range(1, 9):
        history.add(Sample(float(second), cpu=float(second)), float(second))
    assert history.mean(lambda sample: sample.cpu, 3.0, 6.0) == 5.0
    assert history.highest(lambda sample: sample.cpu, 3.0, 6.0) == 6.0


def test_a_mean_needs_half_of_its_seconds_and_one_at_least() -> None:
    history = History()
    for second in (1.0, 2.0, 3.0):
        history.add(Sample(second, cpu=second), second)
    assert history.mean(lambda sample: sample.cpu, 6.0, 6.0) == 2.0
    assert history.mean(lambda sample: sample.cpu, 7.0, 6.0) is None
    assert history.mean(lambda sample: sample.runnable, 6.0, 6.0, known_share=0.0) is None


def test_load_is_the_larger_figure_and_what_is_not_let_in() -> None:
    assert Sample(1.0, cpu=1.0, runnable=2.0, queued=3.0).load == 5.0
    assert Sample(1.0, cpu=2.0, runnable=1.0).load == 2.0
    assert Sample(1.0, queued=3.0).load is None
