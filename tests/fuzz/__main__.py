"""`make fuzz SEED=… SECONDS=…`: conversations with one seed after the other, as long as wanted."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from fuzz.conversation import Conversation
from fuzz.generate import conversation
from fuzz.hold import compare, proves_parking
from fuzz.report import report
from fuzz.shrink import shrunk
from fuzz.sides import World, a_world
from support.up import running_up

SHRINK_SECONDS_MAX = 120.0
"""For one difference; then it is told as short as it is by then."""

PROGRESS_SECONDS = 20.0
"""Between two words of how far it is."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of the first conversation")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long")
    parser.add_argument("--differences", type=int, default=1, help="end after so many")
    parser.add_argument("--keep", type=Path, help="a folder for the reports")
    chosen = parser.parse_args()
    with running_up("--park-every-safe-point") as up, a_world(up) as world:
        proves_parking(world)
        return 1 if _run(world, chosen) else 0


def _run(world: World, chosen: argparse.Namespace) -> int:
    """How many differences were found."""
    deadline, seed, found = time.monotonic() + chosen.seconds, chosen.seed, 0
    tell_at = time.monotonic() + PROGRESS_SECONDS
    while (now := time.monotonic()) < deadline and found < chosen.differences:
        if now > tell_at:
            print(f"{seed - chosen.seed} conversations", file=sys.stderr, flush=True)
            tell_at = now + PROGRESS_SECONDS
        if told := find(world, conversation(seed)):
            found += 1
            words = f"seed {seed}: make fuzz SEED={seed}\n{told}\n"
            print(words, flush=True)
            if chosen.keep is not None:
                (chosen.keep / f"{seed}.txt").write_text(words)
        seed += 1
    print(f"{seed - chosen.seed} conversations from seed {chosen.seed} on, {found} differences")
    return found


def find(world: World, whole: Conversation) -> str:
    """A report of the shortest conversation that shows a difference, or nothing."""
    first = compare(world, whole)
    if first is None:
        return ""
    deadline = time.monotonic() + SHRINK_SECONDS_MAX
    shortest = (whole, first)

    def shows(tried: Conversation) -> bool:
        nonlocal shortest
        if time.monotonic() > deadline:
            return False
        if different := compare(world, tried):
            shortest = (tried, different)
        return different is not None

    shrunk(whole, shows)
    return report(*shortest)


if __name__ == "__main__":
    sys.exit(main())
