"""Decisions, as people read them."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from torpor_autoscaler.core.decision import Decision, Loop

GROWS = Decision(Loop.SIZE, "load", 1.4, 0.9, "CPU", 60.0, "grows from 1 to 2 CU")


def test_a_line_says_what_follows_and_from_which_figure() -> None:
    assert GROWS.line == "grows from 1 to 2 CU: load 1.4 CPU over 1m, above 0.9 CPU"
    below = replace(GROWS, value=0.01234, window_s=0.0, unit="")
    assert below.line == "grows from 1 to 2 CU: load 0.0123, below 0.9"
    assert replace(GROWS, value=0.9, window_s=6.0).line.endswith("load 0.9 CPU over 6s, at 0.9 CPU")
    told_alike = replace(GROWS, value=0.9004)
    assert told_alike.line.endswith("load 0.9 CPU over 1m, at 0.9 CPU")
    assert replace(GROWS, value=100.4).line.endswith("load 100 CPU over 1m, above 0.9 CPU")
    assert replace(GROWS, value=12345.6).line.endswith("load 12346 CPU over 1m, above 0.9 CPU")


def test_long_times_are_told_as_a_person_would() -> None:
    waits = replace(GROWS, metric="time without use", unit="s", window_s=0.0, follows="waits")
    for value, threshold, told in (
        (0.5, 120.0, "0.5 s, below 120 s"),
        (125.7, 300.0, "2m5s, below 5m"),
        (77602.9, 3600.0, "21h33m, above 1h"),
        (inf, 5.0, "inf s, above 5 s"),
    ):
        line = replace(waits, value=value, threshold=threshold).line
        assert line == f"waits: time without use {told}"
