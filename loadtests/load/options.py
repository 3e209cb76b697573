"""The command line of `make load`, judged before anything is started."""

from __future__ import annotations

import argparse
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from load.engine import WORKERS_MAX, Order
from load.scenarios import SCENARIOS
from rig.machine import ROOT
from torpor_api.failures import Failure
from torpor_cli.local.machine import OnMachine
from torpor_cli.local.sockets import parse_address
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.place import Place

ALL, TABLE = "all", "table"
REPORTS = ROOT / "load-reports"

URI_SHAPE = "write one like postgresql://user:password@host:6432/dbname?options=endpoint%3DNAME"

WHAT = """\
A crowd on databases that sleep, objectives, and a report as one HTML page. Ends with 0 where every
objective is met, with 1 where one is missed or the load could not be made, and with 2 where what
was asked for can't be."""

EXAMPLES = """\
examples:
  make load NAME=burst                       on this machine, in two minutes
  make load NAME=burst FACTOR=2 WORKERS=2    twice the databases, two processes of locust
  make load NAME=diurnal MINUTES=10          a slower day
  make load NAME=scanner URI='postgresql://…' ALWAYS_ON='postgresql://…'
  make load NAME=burst CONTEXT=dev TO="a.shop b.shop" VIA=db.example.org:5432
  make load NAME=all RECORD=1                each scenario, and its figures are kept
  make load NAME=table                       what is kept, as a table in Markdown
"""


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="make load",
        description=f"{WHAT}\n\nscenarios:\n{_told()}",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    names = [*SCENARIOS, ALL, TABLE]
    add("name", choices=names, metavar="NAME", help="a scenario; or all; or table")
    add("--factor", type=float, default=1.0, help="so many times the databases, or the clients")
    add("--minutes", type=float, help="of each side, in place of the scenario's own")
    add("--workers", type=int, default=0, metavar="N", help="locust's workers; 0: one process")
    add("--seed", type=int, default=1, help="of all that is random")
    add("--uri", action="append", default=[], help="a database that is there; several times")
    add("--to", action="append", default=[], metavar="NAME", help="the same, by its name")
    add(
        "--via",
        metavar="HOST:PORT",
        help="with --to: where their endpoint is reached from here; else what the place says",
    )
    add(
        "--always-on", action="append", default=[], metavar="URI", help="a Postgres to compare with"
    )
    add("--state", type=Path, metavar="DIR", help="the `torpor up` that has these databases")
    add("--context", metavar="CONTEXT", help="the cluster that has them, by its kubeconfig")
    add("--namespace", metavar="NAMESPACE", help="with --context")
    add(
        "--out", type=Path, metavar="DIR", help="the reports go to DIR/NAME; else load-reports/NAME"
    )
    add("--record", action="store_true", help="keep the figures where `table` finds them")
    add("-o", "--output", choices=["json"], help="print JSON instead of text, a line a scenario")
    return made


def orders(parser: argparse.ArgumentParser, chosen: argparse.Namespace) -> list[Order]:
    """What was asked for, in turn. Exits with 2 where it can't be."""
    if not 0 <= chosen.workers <= WORKERS_MAX:
        parser.error(f"--workers {chosen.workers}: allowed is 0 to {WORKERS_MAX}")
    if fault := _contradiction(chosen):
        parser.error(fault)
    for option, uris in (("--uri", chosen.uri), ("--always-on", chosen.always_on)):
        for number, uri in enumerate(uris, start=1):
            if not _is_uri(uri):
                # A URI may have a password, so it is not shown.
                parser.error(f"{option} {number} of {len(uris)} can't be read: {URI_SHAPE}")
    names = list(SCENARIOS) if chosen.name == ALL else [chosen.name]
    try:
        place = _place(chosen)
        return [_order(name, chosen, place) for name in names]
    except (ValueError, Failure) as error:
        parser.error(str(error))


def _contradiction(chosen: argparse.Namespace) -> str:
    """Of options that mean nothing together, or alone; empty where there is none."""
    has_place = bool(chosen.state or chosen.context)
    rules = {
        "--uri and --to are two ways to say the same: give one": chosen.uri and chosen.to,
        "--state and --context say whose the databases of --to or --uri are: give --to NAME too": (
            has_place and not (chosen.uri or chosen.to)
        ),
        "--to names a database of a place: give --context CONTEXT or --state DIR too": (
            chosen.to and not has_place
        ),
        "--via is where the databases of --to are reached: give --to NAME too": (
            chosen.via and not chosen.to
        ),
        "--state names a folder of this machine, --context a cluster: give one": (
            chosen.state and chosen.context
        ),
        "--namespace is one of a cluster: give --context too": (
            chosen.namespace and not chosen.context
        ),
    }
    return next((said for said, is_broken in rules.items() if is_broken), "")


def _is_uri(text: str) -> bool:
    """Or libpq's own `host=… dbname=…`."""
    try:
        conninfo_to_dict(text)
    except psycopg.Error:
        return False
    return bool(text.strip())


def _order(name: str, chosen: argparse.Namespace, place: Place | None) -> Order:
    """Raises ValueError."""
    seconds = None if chosen.minutes is None else chosen.minutes * 60
    scenario = SCENARIOS[name].sized(chosen.factor, seconds)
    if scenario.driver == "asyncpg" and chosen.workers and chosen.name != ALL:
        raise ValueError(f"--workers {chosen.workers}: they are locust's, and {name} has none")
    if scenario.driver == "locust" and chosen.workers > scenario.clients:
        raise ValueError(
            f"--workers {chosen.workers}: {name} has {scenario.clients} clients in this size"
        )
    return Order(
        scenario=scenario,
        factor=chosen.factor,
        out=((chosen.out or REPORTS) / name).resolve(),
        seed=chosen.seed,
        workers=chosen.workers,
        uris=tuple(chosen.uri),
        names=tuple(chosen.to),
        via=None if chosen.via is None else parse_address(chosen.via, "--via"),
        always_on=tuple(chosen.always_on),
        place=place,
    )


def _place(chosen: argparse.Namespace) -> Place | None:
    """Raises the Failures of a kubeconfig."""
    if chosen.state:
        return OnMachine(StateFolder(chosen.state.absolute()))
    if chosen.context:
        from torpor_cli.kubernetes.cluster import on_cluster

        return on_cluster(context=chosen.context, kubeconfig=None, namespace=chosen.namespace)
    return None


def _told() -> str:
    return "\n".join(f"  {name:13} {each.question}" for name, each in SCENARIOS.items())
