"""`make bench NAME=…`: runs one benchmark, prints its table, and keeps its figures with --json."""

from __future__ import annotations

import argparse
from pathlib import Path

import bench_memory
import bench_multiplex
import bench_park
import bench_resume
import bench_throughput
from rig import machine, report
from rig.progress import Progress

BENCHMARKS = {
    bench.NAME: bench
    for bench in (bench_resume, bench_throughput, bench_memory, bench_park, bench_multiplex)
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("name", choices=BENCHMARKS, help="what to measure")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep the figures in a file")
    parser.add_argument("--rounds", type=int, metavar="N", help="fewer, for a quick look")
    chosen = parser.parse_args()
    bench = BENCHMARKS[chosen.name]
    found_on = machine.description()
    if chosen.rounds is not None and chosen.name == bench_memory.NAME:
        parser.error("memory is not measured in rounds")
    limits = {} if chosen.rounds is None else {"rounds": chosen.rounds}
    parts = bench.run(Progress(chosen.name), **limits)
    headline = next(part for part in parts if part.name == bench.HEADLINE)
    if chosen.json:
        report.write(chosen.json, report.as_json(chosen.name, parts, headline, found_on))
    print(report.as_table(parts))


if __name__ == "__main__":
    main()
