"""`make load NAME=…`: makes a load, judges it and writes its report."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from pathlib import Path

import psycopg

from load import engine, options, report, table
from load.engine import Order
from load.result import Result, as_json
from rig import report as figures
from rig.machine import ROOT
from rig.progress import Progress
from torpor_api.failures import Failure, InvalidRequest

RECORDED = ROOT / "loadtests" / "results" / "load"


def main() -> None:
    parser = options.parser()
    chosen = parser.parse_args()
    if chosen.name == options.TABLE:
        print(table.as_markdown(table.recorded(RECORDED)))
        return
    orders = options.orders(parser, chosen)
    # Ends as Ctrl-C does: what was started is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        engine.refuse_unfit(orders)
        found = [
            _carried_out(order, is_json=bool(chosen.output), is_recorded=chosen.record)
            for order in orders
        ]
    except InvalidRequest as invalid:
        parser.error(str(invalid))
    except Failure as failure:  # Of whoever was to be asked about the databases.
        print(f"load: {failure}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:  # What was started has been stopped on the way here.
        print("load: ended by Ctrl-C, without a report", file=sys.stderr)
        sys.exit(1)
    sys.exit(0 if all(found) else 1)


def _carried_out(order: Order, *, is_json: bool, is_recorded: bool) -> bool:
    """Whether its objectives are met. Raises InvalidRequest."""
    name = order.scenario.name
    try:
        found = engine.run(order, Progress(name))
    except InvalidRequest:
        raise
    except (RuntimeError, OSError, psycopg.Error, Failure) as error:
        print(f"load: {name}: {error}", file=sys.stderr)
        return False
    page = order.out / "report.html"
    page.write_text(report.page(found))
    document = as_json(found)
    figures.write(order.out / "result.json", document)
    if is_recorded:
        figures.write(RECORDED / f"{name}.json", document)
    print(json.dumps(document) if is_json else _as_text(found, page), flush=True)
    return found.is_met


def _as_text(found: Result, page: Path) -> str:
    with contextlib.suppress(ValueError):
        page = page.relative_to(Path.cwd())
    return f"{table.of_verdicts(found.verdicts)}\n\n{table.of_reached(found)}\n\nreport: {page}"


if __name__ == "__main__":
    main()
