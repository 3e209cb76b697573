"""`make load NAME=…`: a crowd on databases that sleep, objectives, and a report as one HTML page.

Ends with 0 where every objective is met, with 1 where one is missed or the load could not be made,
and with 2 where what was asked for can't be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path

import psycopg

from load import engine, report, table
from load.engine import WORKERS_MAX, Order
from load.result import Result, as_json
from load.scenarios import SCENARIOS
from rig import report as figures
from rig.machine import ROOT
from rig.progress import Progress
from torpor_api.failures import Failure
from torpor_cli.local.machine import OnMachine
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.place import Place

TABLE = "table"
KEPT = ROOT / "loadtests" / "results" / "load"
REPORTS = ROOT / "load-reports"

EXAMPLES = """\
examples:
  make load NAME=burst                       on this machine, in two minutes
  make load NAME=burst FACTOR=2 WORKERS=2    twice the databases, two processes of locust
  make load NAME=diurnal MINUTES=10          a slower day
  make load NAME=scanner URI='postgresql://…' ALWAYS_ON='postgresql://…'
  make load NAME=table                       the recorded results, as Markdown
"""


def main() -> None:
    parser = _parser()
    chosen = parser.parse_args()
    if chosen.name == TABLE:
        print(table.as_markdown(table.recorded(KEPT)))
        return
    order = _order(parser, chosen)
    try:
        found = engine.run(order, Progress(chosen.name))
    except (RuntimeError, OSError, psycopg.Error, Failure) as error:
        sys.exit(f"load: {error}")
    page = order.out / "report.html"
    page.write_text(report.page(found))
    document = as_json(found)
    figures.write(order.out / "result.json", document)
    if chosen.json:
        figures.write(chosen.json, document)
    print(json.dumps(document, indent=2) if chosen.output else _as_text(found, page))
    sys.exit(0 if found.is_met else 1)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="make load",
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("name", choices=[*SCENARIOS, TABLE], help="; ".join(_told()))
    add("--factor", type=float, default=1.0, help="so many times the databases, or the clients")
    add("--minutes", type=float, help="of each side, in place of the scenario's own")
    add("--workers", type=int, default=0, metavar="N", help="locust's workers; 0: one process")
    add("--seed", type=int, default=1, help="of all that is random")
    add("--uri", action="append", default=[], help="a database that is there; several times")
    add(
        "--always-on", action="append", default=[], metavar="URI", help="a Postgres to compare with"
    )
    add("--state", type=Path, metavar="DIR", help="with --uri: whose databases these are")
    add("--context", metavar="CONTEXT", help="with --uri: of this cluster, by its kubeconfig")
    add("--namespace", metavar="NAMESPACE", help="with --context")
    add("--out", type=Path, metavar="DIR", help="where the report goes; else load-reports/NAME")
    add("--json", type=Path, metavar="FILE", help="keep the figures in a file as well")
    add("-o", "--output", choices=["json"], help="print JSON instead of text")
    return parser


def _told() -> list[str]:
    return [f"{name}: {each.question}" for name, each in SCENARIOS.items()]


def _order(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> Order:
    """Exits with 2 where it can't be."""
    if not 0 <= chosen.workers <= WORKERS_MAX:
        parser.error(f"--workers {chosen.workers}: allowed is 0 to {WORKERS_MAX}")
    if (chosen.state or chosen.context) and not chosen.uri:
        parser.error("--state and --context say whose the databases of --uri are: give --uri too")
    if chosen.state and chosen.context:
        parser.error("--state names a folder of this machine, --context a cluster: give one")
    seconds = None if chosen.minutes is None else chosen.minutes * 60
    try:
        scenario = SCENARIOS[chosen.name].sized(chosen.factor, seconds)
    except ValueError as error:
        parser.error(str(error))
    return Order(
        scenario,
        chosen.factor,
        seconds,
        (chosen.out or REPORTS / chosen.name).resolve(),
        chosen.seed,
        chosen.workers,
        tuple(chosen.uri),
        tuple(chosen.always_on),
        _place(chosen),
    )


def _place(chosen: argparse.Namespace) -> Place | None:
    if chosen.state:
        return OnMachine(StateFolder(chosen.state.absolute()))
    if chosen.context:
        from torpor_cli.kubernetes.cluster import on_cluster

        return on_cluster(context=chosen.context, kubeconfig=None, namespace=chosen.namespace)
    return None


def _as_text(found: Result, page: Path) -> str:
    with contextlib.suppress(ValueError):
        page = page.relative_to(Path.cwd())
    return f"{table.of_verdicts(found.verdicts)}\n\n{table.of_reached(found)}\n\nreport: {page}"


if __name__ == "__main__":
    main()
