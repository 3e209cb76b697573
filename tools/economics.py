"""Every figure of docs/economics.md anew: `make economics`, half an hour on two cores.

Each file in docs/economics says what it takes to repeat it: trace, databases, seed, policies. They
are simulated again and written back, the two pictures are drawn, and the tables of the page are
written between their marks. What the page says of them in words is for a person to read again.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

PAGE = ROOT / "docs/economics.md"

RESULTS = ROOT / "docs/economics"

TRACES = ROOT / "loadtests/traces"

PICTURES = ("fleet", "bursty")
"""Traces that the page has a picture of, by the policies that are built in."""

SINGLE = ("azure-functions", "dev-test", "office", "cron", "bursty", "scanner")
"""The traces that have a column each, in the page's order."""

RIVALS = ("neon", "aurora", "cockroach", "azure-sql")

BUILT_IN = (
    *("always-on", "neon", "aurora", "cockroach", "azure-sql", "azure-sql-15m"),
    *("torpor-1s", "torpor-5s", "torpor-60s", "torpor-300s", "torpor-auto"),
)

SCHEDULED = "torpor-5s+schedules"

PRICES = RESULTS / "waiting-prices.jsonl"

WAITING_PRICES, WAITING_DATABASES = (5, 60, 300, 1500), 4000

SAME = 1.0001
"""Two waits are equal that differ by less: percentiles are found by halving."""

Json = dict[str, Any]


def main(arguments: list[str]) -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--tables-only", action="store_true", help="of the figures that are there")
    if not options.parse_args(arguments).tables_only:
        for file in sorted(RESULTS.glob("*.json")):
            _simulate_again(file)
        _simulate_prices()
    written = PAGE.read_text()
    for name, table in _tables():
        written = _replaced(written, name, table)
    PAGE.write_text(written)
    print(f"{PAGE.relative_to(ROOT)}: its tables are written; read its words again")
    return 0


# --- figures --------------------------------------------------------------------------------------


def _simulate_again(file: Path) -> None:
    before = json.loads(file.read_text())
    policies = [each["policy"] for each in before["policies"]]
    print(f"{file.stem}: {before['databases']:,} databases, {len(policies)} policies", flush=True)
    told = _simulated(file.stem, before["databases"], policies, seed=before["seed"])
    file.write_text(json.dumps(told, indent=2) + "\n")
    if file.stem in PICTURES:
        # Of a million the picture is that of ten thousand: it shows shares.
        picture = ("--plot", str(file.with_suffix(".svg")))
        _simulated(file.stem, min(before["databases"], 10_000), (), *picture)


def _simulate_prices() -> None:
    """What a second of waiting is worth to torpor-auto, beside Neon on the same databases."""
    found = []
    for price in WAITING_PRICES:
        print(f"waiting price {price}: {WAITING_DATABASES:,} databases", flush=True)
        policies = ("neon", "torpor-auto")
        worth = ("--waiting-price", str(price))
        found.append(_simulated("fleet", WAITING_DATABASES, policies, *worth))
    PRICES.write_text("".join(json.dumps(each) + "\n" for each in found))


def _simulated(
    trace: str, databases: int, policies: Iterable[str], *more: str, seed: int = 0
) -> Json:
    argv = [sys.executable, "-m", "torpor_cli.main", "simulate", "-o", "json"]
    argv += ["--trace", str(TRACES / f"{trace}.toml"), "--databases", str(databases)]
    argv += ["--seed", str(seed), *more]
    for policy in policies:
        argv += ["--policy", policy]
    done = subprocess.run(argv, check=True, stdout=subprocess.PIPE)
    told: Json = json.loads(done.stdout)
    return told


# --- tables ---------------------------------------------------------------------------------------


def _tables() -> Iterator[tuple[str, str]]:
    """Each by its name in the page."""
    of_trace = {file.stem: _by_policy(file) for file in RESULTS.glob("*.json")}
    yield "fleet", _markdown(*_fleet(of_trace["fleet"]))
    yield "traces", _markdown(*_traces(of_trace))
    yield "goal", _markdown(*_goal(of_trace, "waitP99Seconds"))
    yield "goal per database", _markdown(*_goal(of_trace, "databaseWaitP99Seconds"))
    prices = map(json.loads, PRICES.read_text().splitlines())
    yield "waiting prices", _markdown(*_prices(prices))


def _by_policy(file: Path) -> dict[str, Json]:
    return {each["policy"]: each for each in json.loads(file.read_text())["policies"]}


Table = tuple[list[str], list[list[str]]]


def _fleet(found: dict[str, Json]) -> Table:
    whole = found["always-on"]["cuSeconds"]
    header = ["policy", "CU-hours", "cost", "awake", "wakes", "cold starts", "p50", "p99", "p99.9"]
    rows = [
        [
            name,
            f"{each['cuSeconds'] / 3600:,.0f}",
            f"{each['cuSeconds'] / whole:.1%}",
            f"{each['awakeShare']:.1%}",
            f"{each['wakes'] + each['wakesByKnock'] + each['wakesByClock']:,}",
            f"{each['coldStarts']:,}",
            *(_seconds(each[field]) for field in _waits()),
            f"{each['clientsKilled']:,}",
        ]
        for name, each in found.items()
    ]
    return [*header, "p99 per database", "clients killed"], rows


def _waits() -> tuple[str, ...]:
    return "waitP50Seconds", "waitP99Seconds", "waitP999Seconds", "databaseWaitP99Seconds"


def _traces(of_trace: dict[str, dict[str, Json]]) -> Table:
    rows = [
        [policy, *(_share_and_wait(of_trace[trace], policy) for trace in SINGLE)]
        for policy in (*BUILT_IN, SCHEDULED)
    ]
    return ["policy", *SINGLE], rows


def _share_and_wait(found: dict[str, Json], policy: str) -> str:
    each = found.get(policy)
    if each is None:
        return "as 5s"
    share = each["cuSeconds"] / found["always-on"]["cuSeconds"]
    return f"{share:.1%}, {_seconds(each['databaseWaitP99Seconds'])}"


def _goal(of_trace: dict[str, dict[str, Json]], wait: str) -> Table:
    rows = [
        [trace, *(_cheapest(of_trace[trace], rival, wait) for rival in RIVALS)] for trace in SINGLE
    ]
    return ["trace", *RIVALS], rows


def _cheapest(found: dict[str, Json], rival: str, wait: str) -> str:
    """Of Torpor's policies that make nobody wait longer, the one that costs least."""
    ours = [
        each
        for name, each in found.items()
        if name.startswith("torpor-") and each[wait] <= found[rival][wait] * SAME
    ]
    if not ours:
        return "none"
    best = min(ours, key=lambda each: float(each["cuSeconds"]))
    share = best["cuSeconds"] / found[rival]["cuSeconds"]
    return f"{share:.0%} ({best['policy'].removeprefix('torpor-')})"


def _prices(runs: Iterable[Json]) -> Table:
    rows = []
    for run in runs:
        neon, auto = run["policies"]
        times = auto["waitedSeconds"] / neon["waitedSeconds"]
        rows.append(
            [
                f"{run['waitingPrice']:g}",
                f"{auto['cuSeconds'] / neon['cuSeconds']:.0%}",
                _seconds(auto["databaseWaitP99Seconds"]),
                f"{times:.2g} times",
            ]
        )
    header = ["`--waiting-price`, CU-seconds a second", "cost", "p99 per database"]
    return [*header, "clients wait together, beside Neon's"], rows


def _seconds(seconds: float) -> str:
    if not seconds:
        return "0"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    rule = f"|---|{'--:|' * (len(header) - 1)}"
    first, *others = (f"| {' | '.join(cells)} |" for cells in (header, *rows))
    return "\n".join([first, rule, *others])


def _replaced(page: str, name: str, table: str) -> str:
    mark = re.escape(f"<!-- {name} -->")
    pattern = re.compile(rf"({mark}\n).*?(\n<!-- end -->)", re.DOTALL)
    replaced, times = pattern.subn(lambda found: f"{found[1]}{table}{found[2]}", page)
    if times != 1:
        raise SystemExit(f"{PAGE.name} has {times} tables of the name {name!r}: 1 is needed")
    return replaced


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
