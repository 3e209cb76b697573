"""Queries for Prometheus, of metrics that may be scraped with native histograms or without.

A Prometheus that reads native histograms has no series of classic buckets, and the other way round:
so each query of a histogram asks for the native one and takes the classic one where there is none.
"""

from __future__ import annotations

WINDOW = "$__rate_interval"
"""Grafana's: long enough for four scrapes."""

NAMESPACE = 'namespace=~"$namespace"'
"""Of Torpor, where a Prometheus scrapes several; `.*` finds series without the label as well."""


def of(metric: str, labels: str = "", window: str = "") -> str:
    """A selector."""
    wanted = ",".join(part for part in (NAMESPACE, labels) if part)
    return f"{metric}{{{wanted}}}" + (f"[{window}]" if window else "")


def total(metric: str, labels: str = "", by: str = "") -> str:
    return f"{_sum(by)}({of(metric, labels)})"


def rate(metric: str, labels: str = "", by: str = "") -> str:
    return f"{_sum(by)}(rate({of(metric, labels, WINDOW)}))"


def quantile(share: float, metric: str, by: str = "") -> str:
    native = f"histogram_quantile({share}, {rate(metric, by=by)})"
    return f"{native} or {classic_quantile(share, metric, by)}"


def classic_quantile(share: float, metric: str, by: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(f'{metric}_bucket', by=labels)})"


def share_of_each(parts: str, whole: str, by: str) -> str:
    """The seconds of each part in one event of the whole, on average."""
    native = f"histogram_sum({rate(parts, by=by)}) / {_over(by)} histogram_count({rate(whole)})"
    classic = f"{rate(f'{parts}_sum', by=by)} / {_over(by)} {rate(f'{whole}_count')}"
    return f"{native} or {classic}"


def by_component(expression: str) -> str:
    """Of a process, which does not say itself whose it is."""
    return (
        f"sum by (component) ({expression} * on (job, instance) group_left (component) "
        f"{of('torpor_build_info')})"
    )


def _over(by: str) -> str:
    return f"ignoring ({by}) group_left ()"


def _sum(by: str) -> str:
    return f"sum by ({by}) " if by else "sum"
