"""How each alert comes to fire: what Prometheus sees, minute by minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Series = tuple[str, str]
"""A series, and its values in the notation of ``promtool test rules``: ``0+3x20`` grows by three in
each of twenty minutes."""


@dataclass(frozen=True, slots=True)
class Story:
    series: Sequence[Series]
    not_yet: str
    """When it must not have fired."""
    then: str
    """When it must."""
    times: int = 1
    """How many of it fire."""


def _there(*components: str) -> list[Series]:
    return [
        (f'torpor_build_info{{job="{one}",instance="{one}",component="{one}"}}', "1x60")
        for one in components
    ]


def _from(minute: int, value: float, before: float = 0) -> str:
    return f"{before}x{minute - 1} {value}x60"


def _histogram(name: str, labels: str, slow_s: str, fast_s: str) -> list[Series]:
    """From minute 20 on, one in ten takes up to ``slow_s`` seconds; before, all ``fast_s``."""
    head = f"{name}_bucket{{{labels}"
    return [
        (f'{head}le="{fast_s}"}}', "0+100x20 2000+90x40"),
        (f'{head}le="{slow_s}"}}', "0+100x60"),
        (f'{head}le="+Inf"}}', "0+100x60"),
    ]


ONE_MACHINE = Story(
    [*_there("proxy", "autoscaler"), ("torpor_warm_pool_wanted", "2x60")], "7m", "50m", times=0
)
"""All is well there, without an operator."""

FIRES = {
    "TorporComponentMissing": Story(_there("proxy", "autoscaler"), "4m", "7m"),
    "TorporNoLeader": Story(
        [
            ('torpor_leader{component="autoscaler",instance="a"}', _from(10, 0, 1)),
            ('torpor_leader{component="autoscaler",instance="b"}', "0x60"),
            ('torpor_leader{component="operator",instance="c"}', "1x60"),
            *_there("proxy", "autoscaler", "operator"),
        ],
        "11m",
        "14m",
    ),
    "TorporProxyUnregistered": Story(
        [("torpor_proxies", _from(10, 0, 1)), *_there("proxy", "autoscaler", "operator")],
        "14m",
        "17m",
    ),
    "TorporDatabasesFailed": Story(
        [
            ('torpor_databases{phase="Failed"}', _from(10, 2)),
            ('torpor_databases{phase="Active"}', "5x60"),
        ],
        "14m",
        "17m",
    ),
    "TorporDatabasesNotFenced": Story(
        [
            ('torpor_databases_blocked{reason="NotFenced"}', _from(10, 1)),
            ('torpor_databases_blocked{reason="NoWarmCompute"}', "9x60"),
        ],
        "14m",
        "17m",
    ),
    "TorporNoWarmCompute": Story(
        [("torpor_databases_without_compute", _from(10, 3))], "11m", "14m"
    ),
    "TorporWakesFail": Story(
        [
            ('torpor_transitions_total{kind="resume",outcome="done"}', "0+90x60"),
            ('torpor_transitions_total{kind="resume",outcome="failed"}', "0x20 0+10x40"),
            ('torpor_transitions_total{kind="suspend",outcome="failed"}', "0+50x60"),
        ],
        "20m",
        "35m",
    ),
    "TorporWakesSlow": Story(_histogram("torpor_resume_seconds", "", "30.0", "1.0"), "30m", "45m"),
    "TorporPlacesShort": Story(
        [
            *_histogram("torpor_wait_seconds", 'for="place",', "60.0", "0.1"),
            *_histogram("torpor_wait_seconds", 'for="database",', "60.0", "0.1"),
        ],
        "30m",
        "45m",
    ),
    "TorporSessionsLost": Story(
        [
            ('torpor_proxy_refused_sessions_total{sqlstate_class="08"}', "0x10 1x50"),
            ('torpor_proxy_refused_sessions_total{sqlstate_class="57"}', "0+9x60"),
        ],
        "10m",
        "14m",
    ),
    "TorporWarmPoolShort": Story(
        [
            ('torpor_warm_pool_wanted{pool="a"}', "5x60"),
            ('torpor_warm_pool_warm{pool="a"}', _from(10, 4, 5)),
            ('torpor_warm_pool_wanted{pool="b"}', "5x60"),
            ('torpor_warm_pool_warm{pool="b"}', "5x60"),
        ],
        "24m",
        "27m",
    ),
    "TorporAgentsSilent": Story([("torpor_silent_agents", _from(10, 4))], "11m", "14m"),
    "TorporOperatorFailing": Story(
        [
            ('torpor_operator_looks_total{sort="pool",outcome="done"}', "0+60x60"),
            ('torpor_operator_looks_total{sort="pool",outcome="failed"}', "0x10 0+40x50"),
            ('torpor_operator_looks_total{sort="database",outcome="done"}', "0+60x60"),
            ('torpor_operator_looks_total{sort="database",outcome="failed"}', "0+1x60"),
        ],
        "20m",
        "50m",
    ),
    "TorporComponentRestarts": Story(
        [
            ('process_start_time_seconds{job="proxy",instance="proxy"}', "0x9 1 2 3 4 5 5x40"),
            ('process_start_time_seconds{job="agent",instance="agent"}', "0x9 1 2 3 4 5 5x40"),
            *_there("proxy", "agent", "autoscaler", "operator"),
        ],
        "11m",
        "18m",
    ),
}
