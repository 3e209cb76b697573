"""`make suites`: other people's tests, straight to Postgres and through Torpor, and the table."""

from __future__ import annotations

import argparse
import signal
import sys

from suites import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="make suites", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(run.SUITES)}")
    parser.add_argument("--quick", action="store_true", help="the part that takes a few minutes")
    parser.add_argument("--allow-missing", action="store_true", help="pass over what is not here")
    parser.add_argument("--attached", action="store_true", help="without parking at safe points")
    parser.add_argument("--record", metavar="FILE", help="write the table and its JSON beside it")
    parser.add_argument("--keep", action="store_true", help="keep what the suites wrote")
    chosen = parser.parse_args()
    if unknown := sorted(set(chosen.names) - set(run.SUITES)):
        parser.error(f"no suite is called {', '.join(unknown)}: there are {', '.join(run.SUITES)}")
    if chosen.record and (chosen.quick or chosen.attached):
        parser.error("--record keeps whole runs with parking: leave out --quick and --attached")
    # Whoever ends it ends what it has started, too: as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = run.Options(
        names=tuple(chosen.names or run.SUITES),
        is_quick=chosen.quick,
        is_parking=not chosen.attached,
        may_be_missing=chosen.allow_missing,
        keeps_output=chosen.keep,
    )
    return run.run(options, chosen.record)


if __name__ == "__main__":
    sys.exit(main())
