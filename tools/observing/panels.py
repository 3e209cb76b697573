"""The panels of the dashboard, row by row: what an operator of ten thousand databases looks at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from observing.queries import (
    WINDOW,
    by_component,
    classic_quantile,
    of,
    quantile,
    rate,
    share_of_each,
    total,
)

SECONDS, PER_SECOND, BYTES, COUNT, SHARE = "s", "ops", "bytes", "short", "percentunit"
"""Units, as Grafana calls them."""

HALF, MOST = 0.5, 0.99
"""Quantiles."""


@dataclass(frozen=True, slots=True)
class Panel:
    title: str
    meaning: str
    """Shown behind the (i) of the panel."""
    queries: Sequence[tuple[str, str]]
    """Each with the legend of its lines."""
    unit: str = COUNT
    kind: str = "timeseries"
    width: int = 8
    """Of 24."""
    is_stacked: bool = False


Row = tuple[str, Sequence[Panel]]


def rows() -> Iterator[Row]:
    yield "Now", _now()
    yield "Wakes", _wakes()
    yield "Warm computes", _warm_computes()
    yield "Sessions", _sessions()
    yield "Queries and cost", _queries_and_cost()
    yield "Components", (*_processes(), *_operator_and_agents())


def _now() -> Sequence[Panel]:
    return (
        Panel(
            "Databases",
            "By phase. Suspended ones cost their storage only.",
            [(total("torpor_databases", by="phase"), "{{phase}}")],
            kind="stat",
        ),
        Panel(
            "Sessions",
            "Parked ones hold no connection to a compute; waiting ones wait for theirs.",
            [(total("torpor_proxy_sessions", by="state"), "{{state}}")],
            kind="stat",
            width=6,
        ),
        Panel(
            "Compute units awake",
            "Over time this is what the databases cost, apart from warm computes.",
            [(total("torpor_compute_units"), "CU")],
            kind="stat",
            width=3,
        ),
        Panel(
            "Databases that can't go on",
            "They are wanted and have no compute; `torpor why NAME` says more of one.",
            [(total("torpor_databases_blocked"), "databases")],
            kind="stat",
            width=4,
        ),
        Panel(
            "Leaders",
            "1: one of them leads. Without one nothing wakes.",
            [(f"max by (component) ({of('torpor_leader')})", "{{component}}")],
            kind="stat",
            width=3,
        ),
    )


def _wakes() -> Sequence[Panel]:
    ended, resumed, steps = (
        "torpor_transitions_total",
        "torpor_resume_seconds",
        "torpor_resume_step_seconds",
    )
    return (
        Panel(
            "Wakes and sleeps",
            "Resumes, suspends, switchovers and failovers that came to a good end.",
            [(rate(ended, 'outcome="done"', "kind"), "{{kind}}")],
            PER_SECOND,
        ),
        Panel(
            "Failed",
            "The same that came to nothing; harmless where somebody stood in the way of a suspend.",
            [(rate(ended, 'outcome="failed"', "kind"), "{{kind}}")],
            PER_SECOND,
        ),
        Panel(
            "How long a wake takes",
            "What the first client waited for, up to its first row.",
            [(quantile(HALF, resumed), "p50"), (quantile(MOST, resumed), "p99")],
            SECONDS,
        ),
        Panel(
            "What a wake is made of",
            "The average wake, step by step; `torpor critical-chain` shows single ones.",
            [(share_of_each(steps, resumed, "step"), "{{step}}")],
            SECONDS,
            is_stacked=True,
        ),
        Panel(
            "The slowest steps",
            "The 99th percentile of each.",
            [(quantile(MOST, steps, "step"), "{{step}}")],
            SECONDS,
        ),
        Panel(
            "How long other transitions take",
            "The 99th percentile; of a switchover, the pause of sessions.",
            [(quantile(MOST, "torpor_transition_seconds", "kind"), "{{kind}}")],
            SECONDS,
        ),
    )


def _warm_computes() -> Sequence[Panel]:
    return (
        Panel(
            "Warm computes",
            "Those that wait, and how many shall, by pool.",
            [
                (total("torpor_warm_pool_warm", by="pool"), "warm {{pool}}"),
                (total("torpor_warm_pool_wanted", by="pool"), "wanted {{pool}}"),
            ],
        ),
        Panel(
            "Cold starts",
            "Wakes that found no compute warm. bound: the pool may not be larger; burst: more came "
            "at once than ever; slow: others were on their way; own_volume: it has none.",
            [(rate("torpor_cold_starts_total", by="reason"), "{{reason}}")],
            PER_SECOND,
        ),
        Panel(
            "How long it takes to make one",
            "From a claim until another one is warm, on average.",
            [(f"max by (pool) ({of('torpor_warm_pool_replace_seconds')})", "{{pool}}")],
            SECONDS,
        ),
        Panel(
            "What databases without a compute wait for",
            "NoWarmCompute: for one to be made. NotFenced: for the word that the last one is gone.",
            [
                (total("torpor_databases_blocked", by="reason"), "{{reason}}"),
                (total("torpor_databases_without_compute"), "in a pool's queue"),
            ],
            width=24,
        ),
    )


def _sessions() -> Sequence[Panel]:
    waited, ended = "torpor_wait_seconds", "torpor_proxy_refused_sessions_total"
    return (
        Panel(
            "Sessions by state",
            "Of all proxies.",
            [(total("torpor_proxy_sessions", by="state"), "{{state}}")],
            is_stacked=True,
        ),
        Panel(
            "What sessions wait for",
            "Before a query: their database, a place at it, or a capture that was under way.",
            [
                (quantile(HALF, waited, "for"), "p50 {{for}}"),
                (quantile(MOST, waited, "for"), "p99 {{for}}"),
            ],
            SECONDS,
        ),
        Panel(
            "Parks and attaches",
            "How often sessions gave up their backend connection, and got one.",
            [
                (rate("torpor_proxy_parks_total"), "parks"),
                (rate("torpor_proxy_attaches_total"), "attaches"),
            ],
            PER_SECOND,
        ),
        Panel(
            "Logins",
            "By the class of their SQLSTATE. 00: admitted; 28: wrong password or not allowed. Who "
            "abandons one may be a port scan. None of them has woken a database by it.",
            [
                (rate("torpor_proxy_logins_total", by="sqlstate_class"), "{{sqlstate_class}}"),
                (rate("torpor_proxy_abandoned_logins_total"), "abandoned"),
            ],
            PER_SECOND,
        ),
        Panel(
            "Sessions that Torpor ended",
            "By the class of their SQLSTATE. 57: the database can't be woken, or the proxy ended; "
            "08: lost with their compute; 53: no room.",
            [(rate(ended, by="sqlstate_class"), "{{sqlstate_class}}")],
            PER_SECOND,
        ),
        Panel(
            "Busy and pinned sessions",
            "In a transaction or a query; and attached ones that can't be parked.",
            [
                (total("torpor_proxy_busy_sessions"), "busy"),
                (total("torpor_proxy_pinned_sessions"), "pinned"),
            ],
        ),
    )


def _queries_and_cost() -> Sequence[Panel]:
    queries = "torpor_query_seconds"
    return (
        Panel(
            "How long queries take",
            "What computes took, without any waiting before it.",
            [
                (classic_quantile(HALF, queries), "p50"),
                (classic_quantile(0.95, queries), "p95"),
                (classic_quantile(MOST, queries), "p99"),
            ],
            SECONDS,
        ),
        Panel(
            "Queries",
            "Answered per second, and those that computes are at.",
            [(rate(f"{queries}_count"), "per second"), (total("torpor_queries_in_flight"), "now")],
        ),
        Panel(
            "Compute units and what is used of them",
            "One is a CPU and 4 GiB. Used: of computes whose size follows their load.",
            [
                (total("torpor_compute_units"), "compute units"),
                (total("torpor_compute_used_cpus"), "CPUs used"),
                (f"{total('torpor_compute_used_memory_bytes')} / {4 << 30}", "4 GiB used"),
            ],
        ),
        Panel(
            "Databases at their maximum",
            "They have all that their spec allows, and might need more.",
            [(total("torpor_databases_at_max_size"), "databases")],
        ),
        Panel(
            "Decisions",
            "Of each policy, when it decides something else than before; `torpor decisions NAME`.",
            [(rate("torpor_decisions_total", by="policy"), "{{policy}}")],
            PER_SECOND,
        ),
        Panel(
            "Computes",
            "Claimed and warm ones; outdated ones are of an older image or pool spec.",
            [(f"max by (state) ({of('torpor_computes')})", "{{state}}")],
        ),
    )


def _processes() -> Sequence[Panel]:
    busy = f"rate({of('process_cpu_seconds_total', window=WINDOW)})"
    files = f"{of('process_open_fds')} / {of('process_max_fds')}"
    there = of("torpor_build_info")
    return (
        Panel(
            "Processes",
            "By component and version.",
            [(f"count by (component, version) ({there})", "{{component}} {{version}}")],
            width=6,
        ),
        Panel("CPU", "By component.", [(by_component(busy), "{{component}}")], width=6),
        Panel(
            "Memory",
            "By component; a held session takes 2 to 20 KiB of a proxy.",
            [(by_component(of("process_resident_memory_bytes")), "{{component}}")],
            BYTES,
            width=6,
        ),
        Panel(
            "Open files",
            "The fullest process: each session of a proxy is one.",
            [(f"max({files})", "of as many as it may have")],
            SHARE,
            width=6,
        ),
    )


def _operator_and_agents() -> Sequence[Panel]:
    return (
        Panel(
            "Operator's looks",
            "At databases, pools and certificates, by how they ended; and how many are due.",
            [
                (rate("torpor_operator_looks_total", by="outcome"), "{{outcome}} per second"),
                (total("torpor_operator_waiting"), "due now"),
            ],
        ),
        Panel(
            "How long they take",
            "The 99th percentile, with all that is made by one.",
            [(quantile(MOST, "torpor_operator_look_seconds", "sort"), "{{sort}}")],
            SECONDS,
        ),
        Panel(
            "Agents",
            "By state, where they are scraped; ends of Postgres that nobody asked for; and those "
            "that do not answer the autoscaler.",
            [
                (total("torpor_agent_state", by="state"), "{{state}}"),
                (rate("torpor_agent_postgres_losses_total"), "losses per second"),
                (total("torpor_silent_agents"), "silent"),
            ],
        ),
        Panel(
            "What each side knows",
            "Resources in the operator, databases in a proxy, proxies in the autoscaler.",
            [
                (f"max by (sort) ({of('torpor_operator_resources')})", "operator: {{sort}}"),
                (f"max({of('torpor_proxy_endpoints')})", "proxy: databases"),
                (f"max({of('torpor_proxies')})", "autoscaler: proxies"),
            ],
            width=24,
        ),
    )
