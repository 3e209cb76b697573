"""`torpor record`: how databases are used, as a trace for `torpor simulate`."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from torpor_api.failures import Unavailable
from torpor_api.quantities import format_duration, parse_duration_s
from torpor_cli.client import QUICK_SECONDS_MAX, Json
from torpor_cli.files import RECORDED_SUFFIXES, refuse_unwritable
from torpor_cli.options import json_option, on_place
from torpor_cli.place import Place

if TYPE_CHECKING:
    from torpor_simulator.recorder import Recorder, Seen

EVERY_S = 1.0
"""Between two looks: proxies tell the autoscaler once a second."""


def _seconds(_: click.Context, __: click.Parameter, value: str) -> float:
    from torpor_simulator.trace_file import DAYS_MAX

    try:
        seconds = parse_duration_s(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    if not EVERY_S <= seconds <= DAYS_MAX * 86400:
        raise click.BadParameter(f"{value}: allowed is {EVERY_S:g}s to {DAYS_MAX}d")
    return seconds


@click.command("record")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option(
    "--for",
    "seconds",
    default="1h",
    show_default=True,
    callback=_seconds,
    metavar="DURATION",
    help="Ctrl-C ends it sooner, and keeps what there is.",
)
@json_option
@on_place
def command(file: Path, seconds: float, output: str | None, place: Place) -> None:
    """Record when each database is used into FILE (.jsonl or .jsonl.gz), without their names.

    \b
      torpor record week.jsonl.gz --for 7d
      torpor simulate --trace week.jsonl.gz
    """
    refuse_unwritable(file, *RECORDED_SUFFIXES)
    tell(file, record(file, seconds, place), output)


def tell(file: Path, recorded: tuple[int, float, int], output: str | None) -> None:
    """What was recorded there, as :func:`record` gives it."""
    databases, took_s, missed = recorded
    if output == "json":
        told = {"file": str(file), "databases": databases, "seconds": took_s, "missed": missed}
        click.echo(json.dumps(told, indent=2))
    else:
        click.echo(f"{databases} databases over {format_duration(round(took_s))} written to {file}")
    if missed:
        click.echo(f"{missed} looks, one a second, were not answered", err=True)


def record(file: Path, seconds: float, place: Place) -> tuple[int, float, int]:
    """Gives how many databases over how many seconds, and how many looks were not answered. Raises
    Unavailable where the first one is not."""
    from torpor_simulator import recorded
    from torpor_simulator.recorder import Recorder

    recorder = Recorder()
    with tempfile.TemporaryFile("w+", dir=file.absolute().parent) as spool:
        # How long it took stands in the first line, and is known in the end.
        took_s, missed = _watch(place, recorder, spool, seconds)
        names = [_name(resource) for resource in place.ask_cluster("ListResources")["resources"]]
        spool.seek(0)
        rest = (recorded.as_line(each) for each in recorder.end(names))
        lines = itertools.chain(spool, rest)
        recorded.write_lines(file, "recorded", max(took_s, recorded.SECONDS_MIN), lines)
    return len(names), took_s, missed


def _watch(place: Place, recorder: Recorder, spool: IO[str], seconds: float) -> tuple[float, int]:
    """Gives for how long, and how many looks were not answered."""
    from torpor_simulator import recorded

    began, missed, events = time.monotonic(), 0, 0
    try:
        for number in itertools.count():
            try:
                seen = list(_seen(place))
            except Unavailable:
                if not number:
                    raise
                missed += 1
            else:
                for event in recorder.look(time.monotonic() - began, seen):
                    spool.write(recorded.as_line(event))
                    events += 1
            next_s, passed_s = min((number + 1) * EVERY_S, seconds), time.monotonic() - began
            if passed_s >= seconds or events >= recorded.EVENTS_MAX:
                break
            time.sleep(max(next_s - passed_s, 0.0))
    except KeyboardInterrupt:
        click.echo("ended early", err=True)
    return time.monotonic() - began, missed


def _seen(place: Place) -> Iterator[Seen]:
    """All that are awake, page by page."""
    from torpor_api.messages.people import USES_MAX
    from torpor_simulator.recorder import Seen

    after, is_more = "", True
    while is_more:
        uses = place.ask_autoscaler("AskUses", timeout_s=QUICK_SECONDS_MAX, after=after)["uses"]
        for use in uses:
            queries, clients = use["queries_total"], use["sessions"]
            yield Seen(use["name"], use["ago_s"], queries, clients, float(use["cu"]))
        is_more = len(uses) == USES_MAX
        after = uses[-1]["name"] if uses else ""


def _name(resource: Json) -> str:
    from torpor_api.identity import DEFAULT_NAMESPACE, endpoint_name

    metadata = resource["metadata"]
    return endpoint_name(metadata["name"], metadata.get("namespace", DEFAULT_NAMESPACE))
