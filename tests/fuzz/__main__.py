"""`make fuzz SEED=… SECONDS=…`: conversations with one seed after the other, as long as wanted."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from fuzz.conversation import Conversation
from fuzz.generate import conversation
from fuzz.hold import compare, proves_parking
from fuzz.report import report
from fuzz.shrink import shrunk
from fuzz.sides import PostgresDied, World, a_world
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
    run = Run(chosen.seed, time.monotonic() + chosen.seconds, chosen.differences, chosen.keep)
    with running_up("--park-every-safe-point") as up:
        while not run.is_over:
            with a_world(up) as world:
                proves_parking(world)
                run.go_on(world)
    print(f"{run.seed - chosen.seed} conversations, {run.found} differences")
    return 1 if run.found else 0


@dataclass
class Run:
    """One seed after the other."""

    seed: int
    deadline: float
    found_max: int
    folder: Path | None
    found: int = 0
    told_at: float = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.deadline or self.found >= self.found_max

    def go_on(self, world: World) -> None:
        """Until it is over, or Postgres has died and another world is needed."""
        while not self.is_over:
            self._tell_progress()
            seed, self.seed = self.seed, self.seed + 1
            try:
                told = find(world, conversation(seed))
            except PostgresDied:
                print(f"seed {seed}: Postgres has died of it, straight", flush=True)
                return
            if told:
                self._tell(seed, f"seed {seed}: make fuzz SEED={seed}\n{told}\n")

    def _tell(self, seed: int, words: str) -> None:
        self.found += 1
        print(words, flush=True)
        if self.folder is not None:
            (self.folder / f"{seed}.txt").write_text(words)

    def _tell_progress(self) -> None:
        if time.monotonic() > self.told_at + PROGRESS_SECONDS:
            self.told_at = time.monotonic()
            print(f"seed {self.seed}", file=sys.stderr, flush=True)


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
