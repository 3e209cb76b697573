"""`make bench NAME=…`: runs one benchmark, prints its table, and keeps its figures with --json."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from rig import machine, report
from rig.progress import Progress

BENCHMARKS = (
    "resume",
    "throughput",
    "memory",
    "park",
    "multiplex",
    "working-set",
    "warm-cache",
    "operator-scale",
    "fleet-replay",
    "resume-k8s",
    "autoscale",
)
"""Each is a module of its own, ``bench_NAME``: only the one that is asked for is imported."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS, help="what to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in a file")
    parser.add_argument("--rounds", type=int, metavar="N", help="fewer, for a quick look")
    chosen = parser.parse_args()
    bench = importlib.import_module(f"bench_{chosen.name.replace('-', '_')}")
    found_on = machine.description()
    # Where a cluster is measured it is the Postgres of its images.
    found_on["postgres"] = getattr(bench, "POSTGRES", found_on["postgres"])
    if chosen.rounds is not None and chosen.name == "memory":
        parser.error("memory is not measured in rounds")
    limits = {} if chosen.rounds is None else {"rounds": chosen.rounds}
    parts = bench.run(Progress(chosen.name), **limits)
    headline = next(part for part in parts if part.name == bench.HEADLINE)
    if chosen.json:
        document = report.as_json(chosen.name, parts, headline, found_on)
        counts = bench.counts(parts) if hasattr(bench, "counts") else {}
        report.write(chosen.json, {**document, **counts})
    print(report.as_table(parts))


if __name__ == "__main__":
    main()
