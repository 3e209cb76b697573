"""`torpor simulate`: what policies of sleeping cost a fleet, and who waits for it."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from torpor_api.failures import InvalidRequest
from torpor_api.prices import CU_HOUR_PRICE, WAITING_PRICE_MAX
from torpor_api.quantities import format_duration
from torpor_cli.files import RECORDED_SUFFIXES, refuse_unwritable
from torpor_cli.options import FiniteRange, json_option
from torpor_cli.output import table

if TYPE_CHECKING:
    from torpor_simulator.fleet import Order, Outcome
    from torpor_simulator.policies import Policy
    from torpor_simulator.recorded import Recording
    from torpor_simulator.trace_file import Trace

DATABASES_DEFAULT = 10_000
DATABASES_MAX = 10_000_000
PROCESSES_MAX = 64


@click.command("simulate")
@click.option(
    "--trace",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    metavar="FILE",
    help="Kinds of databases as TOML, or a recorded trace as .jsonl or .jsonl.gz.",
)
@click.option(
    "--databases",
    type=click.IntRange(1, DATABASES_MAX),
    default=DATABASES_DEFAULT,
    show_default=True,
    metavar="N",
    help="How many there are; of a recorded trace at most those that it has.",
)
@click.option(
    "--policy",
    "names",
    multiple=True,
    metavar="NAME",
    help="Only this policy, like neon, torpor-90s or torpor-5s+schedules (what comes by a clock "
    "is declared); may be given several times.  [default: all that are built in]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Another one makes other databases of the same kinds.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, PROCESSES_MAX),
    default=2,
    show_default=True,
    metavar="N",
    help="The figures are the same on any number.",
)
@click.option(
    "--waiting-price",
    type=FiniteRange(0, WAITING_PRICE_MAX),
    metavar="CU-SECONDS",
    help="What a second of a client's waiting is worth to torpor-auto.  [default: 60]",
)
@click.option(
    "--price",
    type=FiniteRange(0),
    metavar="DOLLARS",
    help="Of a CU-hour, for every policy.  [default: 0.106]",
)
@click.option(
    "--plot",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw cost against waiting as SVG.",
)
@click.option(
    "--export",
    "recording",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Simulate nothing: write what happens to the databases as a recorded trace.",
)
@json_option
def command(
    file: Path,
    databases: int,
    names: tuple[str, ...],
    seed: int,
    processes: int,
    waiting_price: float | None,
    price: float | None,
    picture: Path | None,
    recording: Path | None,
    output: str | None,
) -> None:
    """Compare policies of sleeping on a trace, in virtual time.

    \b
      torpor simulate --trace week.jsonl.gz
      torpor simulate --trace fleet.toml --policy neon --policy torpor-90s -o json
    """
    from torpor_simulator import plot, report
    from torpor_simulator.fleet import WAITING_PRICE, Order

    if picture is not None:
        refuse_unwritable(picture)
    if recording is not None:
        refuse_unwritable(recording, *RECORDED_SUFFIXES)
    source = _read(file)
    policies = _chosen(names)
    worth = WAITING_PRICE if waiting_price is None else waiting_price
    order = Order(source, policies, databases, seed, worth)
    if recording is not None:
        _export(order, recording, output)
        return
    outcome = _run(order, processes)
    dollars = CU_HOUR_PRICE if price is None else price
    lines = report.lines(policies, outcome, dollars)
    if picture is not None:
        picture.write_text(
            plot.drawn(f"{source.name}, {outcome.total.databases:,} databases", lines)
        )
    if output == "json":
        click.echo(
            json.dumps(report.as_json(source.name, order, outcome, lines, dollars), indent=2)
        )
        return
    total, seconds = outcome.total, round(source.duration_s)
    click.echo(
        f"{source.name}: {total.databases:,} databases over {format_duration(seconds)}, "
        f"{total.used:,} of them used, {total.queries:,} queries\n"
    )
    header, cells = report.rows(lines)
    click.echo(table(header, cells, right=range(1, len(header))))


def _read(file: Path) -> Trace | Recording:
    from torpor_simulator import recorded, trace_file

    if file.name.endswith(RECORDED_SUFFIXES):
        return recorded.read(file)
    try:
        document = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{file}: {error}") from None
    return trace_file.parse(document, str(file))


def _export(order: Order, file: Path, output: str | None) -> None:
    from torpor_simulator import recorded
    from torpor_simulator.fleet import Fleet

    fleet, duration_s = Fleet(order), order.source.duration_s
    lives = ((f"db-{at:06}", fleet.life(at)) for at in range(order.number))
    all = (recorded.as_recorded(name, life, duration_s) for name, life in lives)
    lines = (line for one in all for line in one.lines())
    recorded.write(file, order.source.name, duration_s, lines)
    if output == "json":
        click.echo(json.dumps({"file": str(file), "databases": order.number}, indent=2))
    else:
        click.echo(f"{order.source.name}: {order.number:,} databases written to {file}")


def _chosen(names: tuple[str, ...]) -> tuple[Policy, ...]:
    from torpor_simulator.policies import POLICIES, named

    return tuple(named(name) for name in dict.fromkeys(names)) or POLICIES


def _run(order: Order, processes: int) -> Outcome:
    """With a bar on standard error, where that is a terminal."""
    from torpor_simulator import fleet

    with click.progressbar(length=order.number, label="databases", file=sys.stderr) as bar:
        done = 0

        def progress(now: int, _: int) -> None:
            nonlocal done
            bar.update(now - done)
            done = now

        return fleet.run(order, processes, progress)
