"""What a suite is to those who run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rig.progress import Progress
from suites.outcomes import Results
from suites.sides import Side
from suites.workshop import Workshop


@dataclass(frozen=True, slots=True)
class Run:
    """One suite on one side."""

    workshop: Workshop
    side: Side
    progress: Progress
    is_quick: bool = False

    def tell(self, what: str) -> None:
        self.progress.step(f"{self.side.name}: {what}")

    def count(self, done: int, of: int) -> None:
        self.progress.count(self.side.name, done, of)


@dataclass(frozen=True, slots=True)
class Suite:
    """Other people's tests, as a function of the side that they are run on."""

    name: str
    about: str
    """Whose tests, and how many at the time of writing: for the table."""
    run: Callable[[Run], Results]
